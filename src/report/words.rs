//! A report in words: text for a terminal, Markdown for a merge request.

use super::table::{Table, cell, fenced, one_line};
use super::whole::{Report, SessionFigures};
use crate::record::{Outcome, delta, duration};

/// The end of a failed session's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Which session.
    pub session: String,
    /// Its last lines, without control characters.
    pub lines: Vec<String>,
    /// Lines or bytes that stand above, in words; empty where these are all.
    pub above: String,
}

/// Lines of a log in Markdown.
const LINES: usize = 40;
/// Logs beyond so many bytes are left out of Markdown: a comment has little room.
const ROOM: usize = 40 * 1024;

/// The mark of an outcome, one column wide.
pub(super) fn mark(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Passed) => "✓",
        Some(Outcome::Replayed) => "↻",
        Some(Outcome::Skipped) => "–",
        Some(Outcome::Failed | Outcome::TimedOut | Outcome::Crashed) => "✗",
        Some(Outcome::Cancelled | Outcome::Aborted) | None => "!",
    }
}

/// Figures of the run in one line.
fn figures(report: &Report) -> String {
    let run = &report.run;
    let slots = if run.slots == 1 { "1 slot".to_owned() } else { format!("{} slots", run.slots) };
    let mut parts = vec![format!("{} in {} on {slots}", report.verdict(), duration(run.wall))];
    if let Some(gain) = report.gain().filter(|_| report.sessions.len() > 1) {
        parts.push(format!("one by one {} ({gain:.1}×)", duration(run.sequential)));
    }
    if let Some(busy) = report.busy() {
        parts.push(format!("{busy:.1} CPUs busy"));
    }
    if let Some(install) = run.install {
        parts.push(format!("{} of it installs", duration(install)));
    }
    parts.join(" · ")
}

/// Which run it is.
fn identity(report: &Report) -> String {
    let run = &report.run;
    let mut parts = vec![format!("run {}", run.run), run.time.clone()];
    parts.extend(run.commit.as_ref().map(|commit| format!("commit {}", commit.get(..12).unwrap_or(commit))));
    parts.extend(run.interrupted.as_ref().map(|cause| format!("ended early: {cause}")));
    one_line(&parts.join(" · "))
}

/// The sessions, a row each.
fn sessions(report: &Report) -> Table {
    let mut table = Table::new(&[
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
        let time = |ms: Option<u64>| ms.map(duration).unwrap_or_default();
        table.row(vec![
            format!("{} {}", mark(session.outcome), session.word()),
            session.name.clone(),
            time(session.wall),
            against_usual(session),
            time(session.waited.filter(|waited| *waited >= 100)),
            time(session.install),
            session.busy().map(|busy| format!("{busy:.1}")).unwrap_or_default(),
            if session.critical { "◆".to_owned() } else { String::new() },
            session.notes().join("; "),
        ]);
    }
    table
}

pub(super) fn against_usual(session: &SessionFigures) -> String {
    let both = session.wall.zip(session.usual).filter(|_| session.outcome == Some(Outcome::Passed));
    both.map(|(wall, usual)| delta(wall, usual, true)).unwrap_or_default()
}

/// What the run waited for, a line each.
fn chain(report: &Report) -> Vec<String> {
    let line = |link: &super::chain::Link| {
        let gap = if link.gap >= 100 { format!(", {} later", duration(link.gap)) } else { String::new() };
        format!("{} {} ({}{gap})", one_line(&link.session), duration(link.end - link.start), link.because.words())
    };
    report.held_up.iter().map(line).collect()
}

/// What no order can beat, in a sentence.
pub(super) fn bound(report: &Report) -> String {
    let (bound, what) = report.bounds.largest();
    format!("No order of these sessions can take less than {} ({what}).", duration(bound))
}

/// What is known of a session that changes its mind.
pub(super) fn unsteady(flaky: &super::past::Flaky) -> String {
    let mut parts = Vec::new();
    if flaky.retried > 0 {
        parts.push(format!("passed after a failed attempt in {} of {} runs", flaky.retried, flaky.runs));
    }
    if !flaky.both.is_empty() {
        let commits: Vec<&str> = flaky.both.iter().map(|commit| commit.get(..8).unwrap_or(commit)).collect();
        parts.push(format!("passed and failed on commit {}", commits.join(", ")));
    }
    parts.join("; ")
}

/// The report for a terminal.
pub fn text(report: &Report) -> String {
    let mut text = format!("{}\n{}\n\n", figures(report), identity(report));
    text.push_str(&sessions(report).text());
    if !report.held_up.is_empty() {
        text.push_str("\n◆ what the run waited for:\n");
        for line in chain(report) {
            text.push_str(&format!("  {line}\n"));
        }
        text.push_str(&format!("{}\n", bound(report)));
    }
    for flaky in &report.flaky {
        text.push_str(&format!("flaky: {}: {}\n", one_line(&flaky.session), unsteady(flaky)));
    }
    text
}

/// The report as Markdown.
pub fn markdown(report: &Report, tails: &[Tail]) -> String {
    let mut text = format!("### noxide: {}\n\n{}\n\n", cell(&report.run.project), cell(&figures(report)));
    text.push_str(&sessions(report).markdown());
    if !report.held_up.is_empty() {
        text.push_str("\n<details><summary>◆ what the run waited for</summary>\n\n");
        for line in chain(report) {
            text.push_str(&format!("1. {}\n", cell(&line)));
        }
        text.push_str(&format!("\n{}\n\n</details>\n", cell(&bound(report))));
    }
    if !report.flaky.is_empty() {
        text.push_str("\n**Flaky**\n\n");
        for flaky in &report.flaky {
            text.push_str(&format!("- {}: {}\n", cell(&flaky.session), cell(&unsteady(flaky))));
        }
    }
    let mut room = ROOM;
    for tail in tails.iter().filter(|tail| !tail.lines.is_empty()) {
        let last = &tail.lines[tail.lines.len().saturating_sub(LINES)..];
        let name = cell(&tail.session);
        let block = fenced(&last.join("\n"));
        let block = format!("\n<details><summary>{name}: last lines</summary>\n\n{block}\n</details>\n");
        if block.len() <= room {
            room -= block.len();
            text.push_str(&block);
        }
    }
    text.push_str(&format!("\n<sub>{}</sub>\n", cell(&identity(report))));
    text
}
