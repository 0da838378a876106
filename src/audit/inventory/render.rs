//! Inventory as text for a terminal and as Markdown for an issue or a step summary.

use super::table::{CacheRow, HiddenWork, InstallRow, Inventory, JobRow, NoxfileSessionRow, WorkflowRow};
use crate::text::{pluralize, shorten_text, to_single_line};

/// Width above which a cell is shortened.
const MAX_CELL_WIDTH: usize = 30;
/// Width above which what a session installs is shortened.
const MAX_INSTALLS_WIDTH: usize = 23;
const MORE_SESSIONS_NOTE: &str = "The noxfile may have more sessions: it defines some in a way that is not read.";
const UNKNOWN_SESSIONS_NOTE: &str =
    "Jobs may run more sessions than shown: expressions, scripts or actions select some. Which run nowhere is unknown.";

impl Inventory {
    /// Renders a table per workflow, with the legend of its cells below it; without a width, no line wraps.
    pub fn render_text(&self, width: Option<usize>) -> String {
        let mut text = String::new();
        for workflow in &self.workflows {
            text.push_str(&render_workflow_table(workflow, width));
            text.push('\n');
        }
        if !self.sessions.is_empty() {
            text.push_str(&render_session_table(&self.sessions, self.unused_sessions.is_some(), width));
        }
        if self.may_have_more_sessions {
            write_hanging_indent("\n", MORE_SESSIONS_NOTE, width, &mut text);
        }
        if let Some(names) = self.unused_sessions.as_ref().filter(|names| !names.is_empty()) {
            write_hanging_indent("\nsessions that no workflow runs: ", &names.join(", "), width, &mut text);
        } else if self.has_unknown_jobs() {
            write_hanging_indent("\n", UNKNOWN_SESSIONS_NOTE, width, &mut text);
        }
        text
    }

    /// Whether sessions may run in more jobs than shown.
    fn has_unknown_jobs(&self) -> bool {
        self.unused_sessions.is_none() && !self.sessions.is_empty()
    }

    /// Renders a Markdown table per workflow.
    pub fn render_markdown(&self) -> String {
        let mut text = String::new();
        for workflow in &self.workflows {
            text.push_str(&format!("### {} ({})\n\n", to_single_line(&workflow.path), workflow.forge));
            text.push_str("| job | installs | cache | sessions | needs |\n|---|---|---|---|---|\n");
            for job in &workflow.jobs {
                text.push_str(&render_markdown_row(job));
            }
            text.push_str(&format!("\nCritical path: {}\n\n", format_critical_path(workflow)));
        }
        if self.may_have_more_sessions {
            text.push_str(&format!("{MORE_SESSIONS_NOTE}\n\n"));
        }
        if let Some(names) = self.unused_sessions.as_ref().filter(|names| !names.is_empty()) {
            text.push_str(&format!("Sessions that no workflow runs: {}\n", names.join(", ")));
        } else if self.has_unknown_jobs() {
            text.push_str(&format!("{UNKNOWN_SESSIONS_NOTE}\n"));
        }
        text
    }
}

fn render_workflow_table(workflow: &WorkflowRow, width: Option<usize>) -> String {
    let mut caches: Vec<(&CacheRow, usize)> = Vec::new();
    let mut rows = vec![["job", "line", "installs", "cache", "sessions"].map(str::to_owned)];
    for job in &workflow.jobs {
        let mut labels: Vec<String> = Vec::new();
        let mut seen: Vec<usize> = Vec::new();
        for cache in &job.caches {
            let content = (&cache.action, &cache.paths, &cache.key);
            let known = caches.iter().position(|(known, _)| (&known.action, &known.paths, &known.key) == content);
            let index = known.unwrap_or(caches.len());
            match caches.get_mut(index) {
                Some((_, jobs)) => *jobs += usize::from(!seen.contains(&index)),
                None => caches.push((cache, 1)),
            }
            seen.push(index);
            let note = match (cache.is_known, cache.condition.is_some()) {
                (false, _) => "?",
                (true, true) => " if",
                (true, false) => "",
            };
            labels.push(format!("{} :{}{note}", cache_label(index), cache.line));
        }
        let install_cell =
            |row: &InstallRow| format!("{} :{}{}", row.installer, row.line, condition_mark(&row.condition));
        let installs: Vec<String> = job.installs.iter().map(install_cell).collect();
        rows.push([
            job.job.clone(),
            format!("{:>4}", job.line),
            add_unknown(format_first_item(&installs, "–"), hides_installs(job)),
            format_first_item(&labels, empty_cache_cell(job)) + &format_uncached(job) + unknown_cache_mark(job),
            add_unknown(format_job_sessions(job), hides_sessions(job)),
        ]);
    }
    let mut text = format!("{} ({})\n", to_single_line(&workflow.path), workflow.forge);
    write_table(&rows, width, &mut text);
    for (command, jobs) in count_install_commands(workflow) {
        write_hanging_indent("  installs       ", &format!("{command} ({})", pluralize(jobs, "job")), width, &mut text);
    }
    for (index, (cache, jobs)) in caches.iter().enumerate() {
        write_hanging_indent(
            &format!("  cache {:<9}", cache_label(index)),
            &format!("{} ({}{})", format_cache(cache), pluralize(*jobs, "job"), if_it_is_on(cache)),
            width,
            &mut text,
        );
    }
    for job in workflow.jobs.iter().filter(|job| !job.hidden.is_empty()) {
        let hidden: Vec<String> = job.hidden.iter().map(format_hidden).collect();
        write_hanging_indent("  unknown        ", &format!("{}: {}", job.job, hidden.join(", ")), width, &mut text);
    }
    for (job, uses) in workflow.jobs.iter().filter_map(|job| Some((job, job.calls.as_ref()?))) {
        write_hanging_indent("  calls          ", &format!("{}: {uses}", job.job), width, &mut text);
    }
    for (job, condition) in workflow.jobs.iter().filter_map(|job| Some((job, job.condition.as_ref()?))) {
        let words = format!("{}: {}", job.job, command_as_line(condition));
        write_hanging_indent("  condition      ", &words, width, &mut text);
    }
    for job in workflow.jobs.iter().filter(|job| !job.needs.is_empty()) {
        let needs = format!("{} needs {}", job.job, job.needs.join(", "));
        write_hanging_indent("  needs          ", &needs, width, &mut text);
    }
    for job in workflow.jobs.iter().filter(|job| !job.sequential.is_empty()) {
        let names = job.sessions.iter().map(|row| format!("{}{}", row.session, condition_mark(&row.condition)));
        let names = names.collect::<Vec<_>>().join(", ");
        let sessions = format!("{}: {names} (one after another)", job.job);
        write_hanging_indent("  sequential     ", &sessions, width, &mut text);
    }
    write_hanging_indent("  critical path  ", &format_critical_path(workflow), width, &mut text);
    text
}

/// Returns a table of every session of the noxfile and the jobs that run it.
fn render_session_table(sessions: &[NoxfileSessionRow], is_complete: bool, width: Option<usize>) -> String {
    let mut rows = vec![["session", "line", "installs", "jobs"].map(str::to_owned)];
    for row in sessions {
        let jobs = row.jobs.iter().map(|(path, job)| format!("{}:{job}", short_path(path)));
        let jobs: Vec<String> = jobs.collect();
        let jobs = match (jobs.is_empty(), row.follows_other, is_complete) {
            (false, ..) => jobs.join(", "),
            (true, true, _) => "with the sessions that require or notify it".to_owned(),
            (true, false, true) => "none".to_owned(),
            (true, false, false) => "unknown".to_owned(),
        };
        let width = if row.may_install_more { MAX_INSTALLS_WIDTH - ", unknown".len() } else { MAX_INSTALLS_WIDTH };
        let installs = add_unknown(truncate_cell(&row.installs.join(" "), width), row.may_install_more);
        rows.push([row.session.clone(), format!("{:>4}", row.line), installs, jobs]);
    }
    let mut text = "sessions\n".to_owned();
    write_table(&rows, width, &mut text);
    text
}

/// Returns the name of a workflow file, or the directory of an action.
fn short_path(path: &str) -> &str {
    let directory = ["/action.yml", "/action.yaml"].iter().find_map(|name| path.strip_suffix(name));
    match directory {
        Some(directory) if !directory.ends_with("/workflows") => directory,
        _ => path.rsplit('/').next().unwrap_or(path),
    }
}

fn render_markdown_row(job: &JobRow) -> String {
    let mark = |condition| condition_mark(condition);
    let unknown = |is_hidden: bool| is_hidden.then(|| "unknown".to_owned());
    let installs = job
        .installs
        .iter()
        .map(|row| format!("`{}` ({}{})", command_as_line(&row.command), row.line, mark(&row.condition)))
        .chain(unknown(hides_installs(job)));
    let caches = job.caches.iter().map(|row| {
        let state = if row.is_known { mark(&row.condition) } else { ", unknown whether it is on" };
        format!("{} ({}{state})", format_cache(row), row.line)
    });
    let sessions = job.sessions.iter().map(|row| {
        let time = row.usual_ms.map(|time| format!(", {}", format_seconds(time))).unwrap_or_default();
        format!("{} ({}{time}{})", row.session, row.line, mark(&row.condition))
    });
    let mut sessions = join_cell_items(sessions.chain(unknown(hides_sessions(job))));
    if !job.sequential.is_empty() {
        sessions.push_str("<br>**one after another**");
    }
    let caches = match (job.caches.is_empty(), empty_cache_cell(job)) {
        (true, "none") => "**none**".to_owned(),
        (true, other) => other.to_owned(),
        (false, _) => join_cell_items(caches) + &format_uncached(job) + unknown_cache_mark(job),
    };
    let (installs, needs) = (join_cell_items(installs), job.needs.join(", "));
    let row = format!("| {} ({}) | {installs} | {caches} | {sessions} | {needs} |", job.job, job.line);
    row.replace(char::is_control, " ") + "\n"
}

/// Whether a job may install more than the files show.
fn hides_installs(job: &JobRow) -> bool {
    job.calls.is_some() || job.hidden.iter().any(|hidden| hidden.hides_installs)
}

/// Whether a job may run more sessions than the files show.
fn hides_sessions(job: &JobRow) -> bool {
    job.calls.is_some() || job.hidden.iter().any(|hidden| hidden.hides_sessions)
}

/// Returns the cell of a job without a cache: `none` if it may install Python packages, directly or through a session.
fn empty_cache_cell(job: &JobRow) -> &'static str {
    let installs = !job.installs.is_empty() || !job.sessions.is_empty();
    let may_install = installs || hides_installs(job) || hides_sessions(job);
    match (may_install, job.may_have_hidden_cache || job.calls.is_some()) {
        (false, _) => "–",
        (true, true) => "unknown",
        (true, false) => "none",
    }
}

/// Returns the installers that no cache of the job covers: `, not pdm`.
fn format_uncached(job: &JobRow) -> String {
    if job.uncached.is_empty() { String::new() } else { format!(", not {}", job.uncached.join(" and ")) }
}

/// Returns what is added to the number of jobs of a cache of which it is unknown whether it is on.
fn if_it_is_on(cache: &CacheRow) -> &'static str {
    if cache.is_known { "" } else { ", if it is on" }
}

/// Returns the mark of a job that has caches and may have more.
fn unknown_cache_mark(job: &JobRow) -> &'static str {
    if job.may_have_hidden_cache && !job.caches.is_empty() { ", unknown" } else { "" }
}

/// Adds to a cell that there may be more.
fn add_unknown(cell: String, is_hidden: bool) -> String {
    match (is_hidden, cell.as_str()) {
        (false, _) => cell,
        (true, "–") => "unknown".to_owned(),
        (true, _) => format!("{cell}, unknown"),
    }
}

/// Marks a row whose step or command has a condition.
fn condition_mark(condition: &Option<String>) -> &'static str {
    if condition.is_some() { " if" } else { "" }
}

fn format_hidden(hidden: &HiddenWork) -> String {
    format!("{} :{}", shorten_text(first_line(&hidden.what), 2 * MAX_CELL_WIDTH), hidden.line)
}

/// Returns the sessions of a job, each with its line and usual duration; sessions of one line share the line number.
fn format_job_sessions(job: &JobRow) -> String {
    let mut text = String::new();
    for (index, row) in job.sessions.iter().enumerate() {
        text.push_str(&row.session);
        if let Some(time) = row.usual_ms {
            text.push_str(&format!(" {}", format_seconds(time)));
        }
        if job.sessions.get(index + 1).is_none_or(|next| next.line != row.line) {
            text.push_str(&format!(" :{}{}", row.line, condition_mark(&row.condition)));
        }
        text.push_str(", ");
    }
    if text.is_empty() { "–".to_owned() } else { text.trim_end_matches(", ").to_owned() }
}

/// Returns the install commands, each with the number of jobs that run it.
fn count_install_commands(workflow: &WorkflowRow) -> Vec<(String, usize)> {
    let mut commands: Vec<(String, usize)> = Vec::new();
    for job in &workflow.jobs {
        let mut seen: Vec<String> = Vec::new();
        for command in job.installs.iter().map(|row| command_as_line(&row.command)) {
            if seen.contains(&command) {
                continue;
            }
            match commands.iter_mut().find(|(known, _)| *known == command) {
                Some((_, jobs)) => *jobs += 1,
                None => commands.push((command.clone(), 1)),
            }
            seen.push(command);
        }
    }
    commands
}

/// Returns a command as one line, without the continuations of the shell that it is written for.
fn command_as_line(command: &str) -> String {
    let lines = command.lines().map(|line| line.trim_end().trim_end_matches(['\\', '`', '^']));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

/// Formats the critical path with its duration; if it is not known, the longest chain of `needs`.
fn format_critical_path(workflow: &WorkflowRow) -> String {
    let jobs = workflow.critical_path.join(" → ");
    match (workflow.critical_path_ms, workflow.longest_chain.as_slice()) {
        (Some(time), _) if time > 0 => format!("{jobs}: {} of sessions in earlier runs", format_seconds(time)),
        _ if workflow.critical_path.len() == 1 => format!("{jobs} (no durations recorded)"),
        (_, []) => "unknown: not all jobs have recorded durations".to_owned(),
        (_, chain) => {
            format!("unknown: not all jobs have recorded durations; longest chain of needs: {}", chain.join(" → "))
        }
    }
}

fn format_cache(row: &CacheRow) -> String {
    let paths = if row.paths.is_empty() { "paths chosen by the action".to_owned() } else { row.paths.join(", ") };
    let key = row.key.as_deref().map_or_else(|| "key chosen by the action".to_owned(), |key| format!("key `{key}`"));
    format!("{paths}, {}, {key}", row.action)
}

/// Returns the label of a cache within its workflow: A to Z, then numbers.
fn cache_label(index: usize) -> String {
    let letter = u32::try_from(index).ok().and_then(|index| char::from_u32(u32::from('A') + index));
    letter.filter(|_| index < 26).map_or_else(|| (index + 1).to_string(), String::from)
}

/// Returns the first item and the number of further ones.
fn format_first_item(items: &[String], none: &str) -> String {
    match items {
        [] => none.to_owned(),
        [one] => one.clone(),
        [first, rest @ ..] => {
            let mark = if rest.iter().any(|item| item.ends_with('?')) { "?" } else { "" };
            format!("{first} +{}{mark}", rest.len())
        }
    }
}

fn truncate_cell(text: &str, width: usize) -> String {
    if text.is_empty() { "–".to_owned() } else { shorten_text(text, width) }
}

/// Writes columns as wide as their widest cell; the last column wraps.
fn write_table<const N: usize>(rows: &[[String; N]], width: Option<usize>, text: &mut String) {
    // Names of jobs and sessions may be any text.
    let rows: Vec<[String; N]> =
        rows.iter().map(|row| row.each_ref().map(|cell| cell.replace(char::is_control, " "))).collect();
    let column_width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    for row in &rows {
        let mut head = String::new();
        for (column, cell) in row.iter().enumerate().take(N - 1) {
            let padding = column_width(column).saturating_sub(cell.chars().count());
            head.push_str(&format!("  {cell}{}", " ".repeat(padding)));
        }
        write_hanging_indent(&format!("{head}  "), &row[N - 1], width, text);
    }
}

/// Writes a head followed by words, wrapped so that each further line starts below the first word.
fn write_hanging_indent(head: &str, words: &str, width: Option<usize>, text: &mut String) {
    let indent = head.trim_start_matches('\n').chars().count();
    let line_width = width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(16));
    let mut line = String::new();
    text.push_str(head);
    let words = words.replace(char::is_control, " ");
    for word in words.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > line_width {
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

fn join_cell_items(items: impl Iterator<Item = String>) -> String {
    items.map(|item| item.replace('|', "\\|")).collect::<Vec<_>>().join("<br>")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn format_seconds(milliseconds: u64) -> String {
    format!("{:.1} s", milliseconds as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_lines_start_below_the_first_word() {
        let mut text = String::new();
        write_hanging_indent("  head  ", "one two three four five six seven", Some(32), &mut text);
        assert_eq!(text, "  head  one two three four five\n        six seven\n");
    }

    #[test]
    fn cells_are_labelled_and_shortened() {
        assert_eq!([0, 25, 26].map(cache_label), ["A", "Z", "27"]);
        assert_eq!(format_first_item(&["a".into(), "b".into(), "c".into()], "–"), "a +2");
        assert_eq!(format_first_item(&["a".into(), "b?".into()], "–"), "a +1?");
        assert_eq!(format_first_item(&[], "–"), "–");
        assert_eq!(truncate_cell(&"x".repeat(31), MAX_CELL_WIDTH).chars().count(), 30);
    }
}
