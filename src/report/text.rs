//! Run report as text for a terminal and as Markdown for a pull request.

use super::run_report::{RunReport, SessionReport};
use super::table::TextTable;
use crate::record::{Outcome, describe_interrupt};
use crate::text::{
    escape_markdown_cell, fenced_block, format_delta, format_duration, pluralize, sanitize_line, to_single_line,
};

/// End of a failed session's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedLogTail {
    /// Session name.
    pub session: String,
    /// Last lines, without control characters except colors.
    pub lines: Vec<String>,
    /// Note on the lines omitted above; empty if there are none.
    pub omitted_note: String,
}

/// Maximum number of log lines in Markdown.
const MAX_TAIL_LINES: usize = 40;
/// Maximum bytes of logs in Markdown, since comments are limited in size.
const MAX_LOG_BYTES: usize = 40 * 1024;

/// Returns the mark of an outcome; `?` if noxide was killed before the session ended.
pub(super) fn outcome_mark(outcome: Option<Outcome>) -> &'static str {
    outcome.map_or("?", |outcome| outcome.mark().0)
}

/// Formats the totals in one line.
fn format_totals(report: &RunReport) -> String {
    let run = &report.run;
    let slots = pluralize(run.slots, "slot");
    let mut parts = vec![format!("{} in {} on {slots}", report.format_verdict(), format_duration(run.wall))];
    if let Some(gain) = report.parallel_speedup().filter(|_| report.sessions.len() > 1) {
        // The factor of a run that was stopped says nothing.
        let gain = if run.interrupted.is_none() { format!(" ({gain:.1}×)") } else { String::new() };
        parts.push(format!("sum of sessions {}{gain}", format_duration(run.session_total)));
    }
    if let Some(busy) = report.busy_cpus() {
        parts.push(format!("{busy:.1} CPUs busy"));
    }
    if let Some(install) = run.install {
        parts.push(format!("{} of installs in total", format_duration(install)));
    }
    parts.join(" · ")
}

/// Formats the identity of the run.
fn format_run_identity(report: &RunReport) -> String {
    let run = &report.run;
    let mut parts = vec![format!("run {}", run.run_id), run.time.clone()];
    parts.extend(run.commit.as_ref().map(|commit| format!("commit {}", commit.get(..12).unwrap_or(commit))));
    parts.extend(run.interrupted.as_deref().map(describe_interrupt));
    to_single_line(&parts.join(" · "))
}

/// Builds the table of sessions.
fn session_table(report: &RunReport) -> TextTable {
    let mut table = TextTable::new(&[
        ("", false),
        ("session", false),
        ("time", true),
        ("vs usual", true),
        ("waited", true),
        ("install", true),
        ("CPUs", true),
        ("", false),
        ("notes", false),
    ]);
    for session in &report.sessions {
        let time = |ms: Option<u64>| ms.map(format_duration).unwrap_or_default();
        table.push_row(vec![
            format!("{} {}", outcome_mark(session.outcome), session.outcome_str()),
            session.name.clone(),
            time(session.wall),
            format_usual_delta(session),
            time(session.waited.filter(|waited| *waited >= 100)),
            time(session.install),
            session.busy_cpus().map(|busy| format!("{busy:.1}")).unwrap_or_default(),
            if session.on_critical_path { "◆".to_owned() } else { String::new() },
            session.collect_notes().join("; "),
        ]);
    }
    table
}

pub(super) fn format_usual_delta(session: &SessionReport) -> String {
    let times = session.wall.zip(session.usual).filter(|_| session.outcome == Some(Outcome::Passed));
    times.map(|(wall, usual)| format_delta(wall, usual, true)).unwrap_or_default()
}

/// Formats the critical path, one line per session.
fn critical_path_lines(report: &RunReport) -> Vec<String> {
    let line = |link: &super::critical_path::CriticalPathEntry| {
        let gap = if link.gap >= 100 { format!(", {} later", format_duration(link.gap)) } else { String::new() };
        to_single_line(&format!(
            "{} {} ({}{gap})",
            link.session,
            format_duration(link.end.saturating_sub(link.start)),
            link.reason.describe_wait()
        ))
    };
    report.critical_path.iter().map(line).collect()
}

/// Formats the lower bound as a sentence.
pub(super) fn format_lower_bound(report: &RunReport) -> String {
    let (bound, description) = report.lower_bounds.largest_bound();
    format!("No order of these sessions can take less than {} ({description}).", format_duration(bound))
}

/// Describes a flaky session.
pub(super) fn describe_flakiness(flaky: &super::run_history::FlakySession) -> String {
    let mut parts = Vec::new();
    if flaky.retried_runs > 0 {
        parts.push(format!(
            "passed after a failed attempt in {} of {}",
            flaky.retried_runs,
            pluralize(flaky.runs, "run")
        ));
    }
    if !flaky.mixed_commits.is_empty() {
        let commits: Vec<&str> = flaky.mixed_commits.iter().map(|commit| commit.get(..8).unwrap_or(commit)).collect();
        parts.push(format!("passed and failed on commit {}", commits.join(", ")));
    }
    parts.join("; ")
}

/// Renders the report for a terminal.
pub fn render_text(report: &RunReport) -> String {
    let mut text = format!("{}\n{}\n\n", format_totals(report), format_run_identity(report));
    text.push_str(&session_table(report).to_text());
    if !report.critical_path.is_empty() {
        text.push_str("\n◆ critical path:\n");
        for line in critical_path_lines(report) {
            text.push_str(&format!("  {line}\n"));
        }
        text.push_str(&format!("{}\n", format_lower_bound(report)));
    }
    for flaky in &report.flaky_sessions {
        text.push_str(&format!("flaky: {}: {}\n", to_single_line(&flaky.session), describe_flakiness(flaky)));
    }
    text
}

/// Renders the report as Markdown.
pub fn render_markdown(report: &RunReport, tails: &[FailedLogTail]) -> String {
    let mut text = format!(
        "### noxide: {}\n\n{}\n\n",
        escape_markdown_cell(&report.run.project),
        escape_markdown_cell(&format_totals(report))
    );
    text.push_str(&session_table(report).to_markdown());
    if !report.critical_path.is_empty() {
        text.push_str("\n<details><summary>◆ critical path</summary>\n\n");
        for line in critical_path_lines(report) {
            text.push_str(&format!("1. {}\n", escape_markdown_cell(&line)));
        }
        text.push_str(&format!("\n{}\n\n</details>\n", escape_markdown_cell(&format_lower_bound(report))));
    }
    if !report.flaky_sessions.is_empty() {
        text.push_str("\n**Flaky**\n\n");
        for flaky in &report.flaky_sessions {
            text.push_str(&format!(
                "- {}: {}\n",
                escape_markdown_cell(&flaky.session),
                escape_markdown_cell(&describe_flakiness(flaky))
            ));
        }
    }
    let mut remaining_bytes = MAX_LOG_BYTES;
    for tail in tails.iter().filter(|tail| !tail.lines.is_empty()) {
        let last = &tail.lines[tail.lines.len().saturating_sub(MAX_TAIL_LINES)..];
        let last: Vec<String> = last.iter().map(|line| sanitize_line(line.as_bytes(), false)).collect();
        let name = escape_markdown_cell(&tail.session);
        let block = fenced_block(&last.join("\n"));
        let block = format!("\n<details><summary>{name}: last lines</summary>\n\n{block}\n</details>\n");
        if block.len() <= remaining_bytes {
            remaining_bytes -= block.len();
            text.push_str(&block);
        }
    }
    text.push_str(&format!("\n<sub>{}</sub>\n", escape_markdown_cell(&format_run_identity(report))));
    text
}
