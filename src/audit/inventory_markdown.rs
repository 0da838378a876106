//! The inventory as Markdown, for an issue or a step's summary.

use super::inventory::{CacheRow, Inventory, WorkflowRow};
use super::inventory_text::{first_line, format_seconds};

impl Inventory {
    /// The table for an issue or a step's summary.
    pub fn render_markdown(&self) -> String {
        let mut text = String::new();
        for workflow in &self.workflows {
            text.push_str(&format!("### {} ({})\n\n", workflow.path, workflow.dialect));
            text.push_str("| job | installs | cached | sessions | waits for |\n|---|---|---|---|---|\n");
            for job in &workflow.jobs {
                let installs = job.installs.iter().map(|row| format!("`{}` ({})", first_line(&row.command), row.line));
                let caches = job.caches.iter().map(|row| format!("{} ({})", format_cache(row), row.line));
                let sessions = job.sessions.iter().map(|row| match row.milliseconds {
                    Some(time) => format!("{} ({}, {})", row.session, row.line, format_seconds(time)),
                    None => format!("{} ({})", row.session, row.line),
                });
                let mut sessions = join_cell_items(sessions);
                if !job.sequential.is_empty() {
                    sessions.push_str("<br>**one after another, and need not be**");
                }
                let caches = match (job.caches.is_empty(), job.installs.is_empty() && job.sessions.is_empty()) {
                    (true, false) => "**nothing**".to_owned(),
                    _ => join_cell_items(caches),
                };
                let (installs, needs) = (join_cell_items(installs), job.needs.join(", "));
                let (name, line) = (&job.job, job.line);
                text.push_str(&format!("| {name} ({line}) | {installs} | {caches} | {sessions} | {needs} |\n"));
            }
            text.push_str(&format!("\nLongest chain: {}\n\n", format_critical_path(workflow)));
        }
        if !self.never_run.is_empty() {
            text.push_str(&format!("Sessions that no workflow runs: {}\n", self.never_run.join(", ")));
        }
        text
    }
}

/// The longest chain, with its time where all of it was measured.
fn format_critical_path(workflow: &WorkflowRow) -> String {
    let jobs = workflow.critical_path.join(" → ");
    match workflow.milliseconds {
        Some(time) if time > 0 => format!("{jobs}: {} of sessions, as measured here", format_seconds(time)),
        _ => format!("{jobs} (by its jobs: not all sessions have been run by noxide here)"),
    }
}

fn format_cache(row: &CacheRow) -> String {
    let key = row.key.as_deref().map_or_else(|| "its own key".to_owned(), |key| format!("`{key}`"));
    let paths = if row.paths.is_empty() { "what it finds".to_owned() } else { row.paths.join(", ") };
    format!("{paths} by {} under {key}", row.by)
}

fn join_cell_items(items: impl Iterator<Item = String>) -> String {
    items.map(|item| item.replace('|', "\\|")).collect::<Vec<_>>().join("<br>")
}
