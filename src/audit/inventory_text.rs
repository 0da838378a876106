//! The inventory as people read it in a terminal: a table for each workflow, and below it what the cells stand for.

use super::inventory::{CacheRow, Inventory, JobRow, NoxfileSessionRow, WorkflowRow};
use crate::text::{pluralize, shorten_text};

/// The longest cell that does not wrap.
const MAX_CELL_WIDTH: usize = 30;

impl Inventory {
    /// The tables for people; a pipe gets each row in one line.
    pub fn render_text(&self, width: Option<usize>) -> String {
        let mut text = String::new();
        for workflow in &self.workflows {
            text.push_str(&self::render_workflow_table(workflow, width));
            text.push('\n');
        }
        if !self.sessions.is_empty() {
            text.push_str(&render_session_table(&self.sessions, width));
        }
        if !self.never_run.is_empty() {
            let names = self.never_run.join(", ");
            write_hanging_indent("\nsessions that no workflow runs: ", &names, width, &mut text);
        }
        text
    }
}

fn render_workflow_table(workflow: &WorkflowRow, width: Option<usize>) -> String {
    let mut caches: Vec<(&CacheRow, usize)> = Vec::new();
    let mut rows = vec![["job", "line", "installs", "cache", "runs"].map(str::to_owned)];
    for job in &workflow.jobs {
        let mut kept: Vec<String> = Vec::new();
        for cache in &job.caches {
            let told = (cache.by, &cache.paths, &cache.key);
            let known = caches.iter().position(|(known, _)| (known.by, &known.paths, &known.key) == told);
            let at = known.unwrap_or(caches.len());
            match caches.get_mut(at) {
                Some((_, jobs)) => *jobs += 1,
                None => caches.push((cache, 1)),
            }
            kept.push(format!("{} :{}", cache_label(at), cache.line));
        }
        let python = !job.installs.is_empty() || !job.sessions.is_empty();
        let none = if python { "none" } else { "–" };
        let installs: Vec<String> = job.installs.iter().map(|row| format!("{} :{}", row.by, row.line)).collect();
        let cells = [
            job.job.clone(),
            format!("{:>4}", job.line),
            format_first_item(&installs, "–"),
            format_first_item(&kept, none),
            format_job_sessions(job),
        ];
        rows.push(cells);
    }
    let mut text = format!("{} ({})\n", workflow.path, workflow.dialect);
    write_table(&rows, width, &mut text);
    for (command, jobs) in count_install_commands(workflow) {
        write_hanging_indent("  installs   ", &format!("{command} ({})", format_job_count(jobs)), width, &mut text);
    }
    for (at, (cache, jobs)) in caches.iter().enumerate() {
        write_hanging_indent(
            &format!("  cache {:<5}", cache_label(at)),
            &format!("{} ({})", format_cache(cache), format_job_count(*jobs)),
            width,
            &mut text,
        );
    }
    for job in workflow.jobs.iter().filter(|job| !job.needs.is_empty()) {
        write_hanging_indent("  waits      ", &format!("{} for {}", job.job, job.needs.join(", ")), width, &mut text);
    }
    for job in workflow.jobs.iter().filter(|job| !job.sequential.is_empty()) {
        let words = format!("{}: {} (one after another, and need not be)", job.job, job.sequential.join(", "));
        write_hanging_indent("  in a row   ", &words, width, &mut text);
    }
    write_hanging_indent("  longest    ", &format_critical_path(workflow), width, &mut text);
    text
}

/// Every session of the noxfile, and the jobs that run it.
fn render_session_table(sessions: &[NoxfileSessionRow], width: Option<usize>) -> String {
    let mut rows = vec![["session", "line", "installs", "runs in"].map(str::to_owned)];
    for row in sessions {
        let jobs = row.jobs.iter().map(|(path, job)| format!("{}:{job}", path.rsplit('/').next().unwrap_or(path)));
        let jobs: Vec<String> = jobs.collect();
        let jobs = if jobs.is_empty() { "nowhere".to_owned() } else { jobs.join(", ") };
        rows.push([row.session.clone(), format!("{:>4}", row.line), truncate_cell(&row.installs.join(" ")), jobs]);
    }
    let mut text = "sessions\n".to_owned();
    write_table(&rows, width, &mut text);
    text
}

/// The sessions of a job, each with its line and its measured time; those of one line share it.
fn format_job_sessions(job: &JobRow) -> String {
    let mut text = String::new();
    for (at, row) in job.sessions.iter().enumerate() {
        text.push_str(&row.session);
        if let Some(time) = row.milliseconds {
            text.push_str(&format!(" {}", format_seconds(time)));
        }
        if job.sessions.get(at + 1).is_none_or(|next| next.line != row.line) {
            text.push_str(&format!(" :{}", row.line));
        }
        text.push_str(", ");
    }
    if text.is_empty() { "–".to_owned() } else { text.trim_end_matches(", ").to_owned() }
}

/// The commands that install, each once, with the number of jobs that have it.
fn count_install_commands(workflow: &WorkflowRow) -> Vec<(&str, usize)> {
    let mut all: Vec<(&str, usize)> = Vec::new();
    for command in workflow.jobs.iter().flat_map(|job| &job.installs).map(|row| first_line(&row.command)) {
        match all.iter_mut().find(|(known, _)| *known == command) {
            Some((_, jobs)) => *jobs += 1,
            None => all.push((command, 1)),
        }
    }
    all
}

/// The longest chain, with its time where all of it was measured.
fn format_critical_path(workflow: &WorkflowRow) -> String {
    let jobs = workflow.critical_path.join(" → ");
    match workflow.milliseconds {
        Some(time) if time > 0 => format!("{jobs}: {} of sessions, as measured here", format_seconds(time)),
        _ if workflow.critical_path.len() < 2 => format!("{jobs}, not timed here"),
        _ => format!("{jobs}, by the number of jobs: not all sessions have been timed here"),
    }
}

fn format_cache(row: &CacheRow) -> String {
    let paths = if row.paths.is_empty() { "what it finds".to_owned() } else { row.paths.join(", ") };
    let key = row.key.as_deref().unwrap_or("its own key");
    format!("{paths} by {} under {key}", row.by)
}

/// A cache's name in its workflow.
fn cache_label(at: usize) -> String {
    let letter = u32::try_from(at).ok().and_then(|at| char::from_u32(u32::from('A') + at)).filter(|_| at < 26);
    letter.map_or_else(|| (at + 1).to_string(), String::from)
}

fn format_job_count(jobs: usize) -> String {
    pluralize(jobs, "job")
}

/// The first of several, and how many more there are.
fn format_first_item(items: &[String], none: &str) -> String {
    match items {
        [] => none.to_owned(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} +{}", rest.len()),
    }
}

fn truncate_cell(text: &str) -> String {
    if text.is_empty() {
        return "–".to_owned();
    }
    shorten_text(text, MAX_CELL_WIDTH)
}

/// Columns as wide as their widest cell; the last one wraps.
fn write_table<const N: usize>(rows: &[[String; N]], width: Option<usize>, text: &mut String) {
    let wide = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    for row in rows {
        let mut head = String::new();
        for (at, cell) in row.iter().enumerate().take(N - 1) {
            head.push_str(&format!("  {cell}{}", " ".repeat(wide(at).saturating_sub(cell.chars().count()))));
        }
        write_hanging_indent(&format!("{head}  "), &row[N - 1], width, text);
    }
}

/// Words after a head, in lines that fit and begin below the first word.
fn write_hanging_indent(head: &str, words: &str, width: Option<usize>, text: &mut String) {
    let indent = head.trim_start_matches('\n').chars().count();
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(24));
    let mut line = String::new();
    text.push_str(head);
    for word in words.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            text.push_str(&format!("{line}\n{}", " ".repeat(indent)));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

pub(super) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Measured milliseconds as seconds.
pub(super) fn format_seconds(milliseconds: u64) -> String {
    format!("{:.1} s", milliseconds as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_hang_below_the_first() {
        let mut text = String::new();
        write_hanging_indent("  head  ", "one two three four five six seven", Some(32), &mut text);
        assert_eq!(text, "  head  one two three four five\n        six seven\n");
        assert_eq!(
            (cache_label(0), cache_label(25), cache_label(26)),
            ("A".to_owned(), "Z".to_owned(), "27".to_owned())
        );
        assert_eq!(
            (format_first_item(&["a".into(), "b".into(), "c".into()], "–"), format_first_item(&[], "–")),
            ("a +2".into(), "–".into())
        );
        assert_eq!(truncate_cell(&"x".repeat(31)).chars().count(), 30);
    }
}
