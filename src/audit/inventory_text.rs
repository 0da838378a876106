//! The inventory as people read it: in a terminal, and as Markdown for an issue.

use super::inventory::{CacheRow, Inventory, JobRow, WorkflowRow};

impl Inventory {
    /// The table for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for workflow in &self.workflows {
            text.push_str(&format!("{} ({})\n", workflow.path, workflow.dialect));
            for job in &workflow.jobs {
                self::job(job, &mut text);
            }
            text.push_str(&format!("  longest chain  {}\n\n", chain(workflow)));
        }
        if !self.never_run.is_empty() {
            text.push_str(&format!("sessions that no workflow runs: {}\n", self.never_run.join(", ")));
        }
        text
    }

    /// The table for an issue or a step's summary.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for workflow in &self.workflows {
            text.push_str(&format!("### {} ({})\n\n", workflow.path, workflow.dialect));
            text.push_str("| job | installs | cached | sessions | waits for |\n|---|---|---|---|---|\n");
            for job in &workflow.jobs {
                let installs = job.installs.iter().map(|row| format!("`{}` ({})", one_line(&row.command), row.line));
                let caches = job.caches.iter().map(|row| format!("{} ({})", kept(row), row.line));
                let sessions = job.sessions.iter().map(|row| match row.milliseconds {
                    Some(time) => format!("{} ({}, {})", row.session, row.line, seconds(time)),
                    None => format!("{} ({})", row.session, row.line),
                });
                let mut sessions = cell(sessions);
                if !job.sequential.is_empty() {
                    sessions.push_str("<br>**one after another, and need not be**");
                }
                let caches = match (job.caches.is_empty(), job.installs.is_empty() && job.sessions.is_empty()) {
                    (true, false) => "**nothing**".to_owned(),
                    _ => cell(caches),
                };
                let (installs, needs) = (cell(installs), job.needs.join(", "));
                let (name, line) = (&job.job, job.line);
                text.push_str(&format!("| {name} ({line}) | {installs} | {caches} | {sessions} | {needs} |\n"));
            }
            text.push_str(&format!("\nLongest chain: {}\n\n", chain(workflow)));
        }
        if !self.never_run.is_empty() {
            text.push_str(&format!("Sessions that no workflow runs: {}\n", self.never_run.join(", ")));
        }
        text
    }
}

fn job(job: &JobRow, text: &mut String) {
    text.push_str(&format!("  {} (line {})", job.job, job.line));
    if !job.needs.is_empty() {
        text.push_str(&format!(", waits for {}", job.needs.join(", ")));
    }
    text.push('\n');
    for row in &job.installs {
        text.push_str(&format!("    installs  {:>4}  {}\n", row.line, one_line(&row.command)));
    }
    for row in &job.caches {
        text.push_str(&format!("    caches    {:>4}  {}\n", row.line, kept(row)));
    }
    if job.caches.is_empty() && !(job.installs.is_empty() && job.sessions.is_empty()) {
        text.push_str("    caches       –  nothing\n");
    }
    for row in &job.sessions {
        let time = row.milliseconds.map(|time| format!("  {}", seconds(time))).unwrap_or_default();
        text.push_str(&format!("    runs      {:>4}  {}{time}\n", row.line, row.session));
    }
    if !job.sequential.is_empty() {
        text.push_str("                    one after another, and need not be\n");
    }
}

/// The longest chain, with its time where all of it was measured.
fn chain(workflow: &WorkflowRow) -> String {
    let jobs = workflow.critical_path.join(" → ");
    match workflow.milliseconds {
        Some(time) if time > 0 => format!("{jobs}: {} of sessions, as measured here", seconds(time)),
        _ => format!("{jobs} (by its jobs: not all sessions have been run by noxide here)"),
    }
}

fn kept(row: &CacheRow) -> String {
    let key = row.key.as_deref().map_or_else(|| "its own key".to_owned(), |key| format!("`{key}`"));
    let paths = if row.paths.is_empty() { "what it finds".to_owned() } else { row.paths.join(", ") };
    format!("{paths} by {} under {key}", row.by)
}

fn cell(items: impl Iterator<Item = String>) -> String {
    items.map(|item| item.replace('|', "\\|")).collect::<Vec<_>>().join("<br>")
}

fn one_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Measured milliseconds as seconds.
fn seconds(milliseconds: u64) -> String {
    format!("{:.1} s", milliseconds as f64 / 1000.0)
}
