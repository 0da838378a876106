//! Text of `noxide trace`: conflicts, incomplete traces, advice, summary.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::theme::{OutputTheme, TextStyle};
use crate::text::{pluralize, to_single_line};

/// Conflicting paths of two sessions that are shown, unless all are requested.
const MAX_SHOWN_PATHS: usize = 5;

/// The conflicts of traced sessions, as they are printed.
#[derive(Debug, Default)]
pub(crate) struct ConflictReportView {
    /// Number of traced sessions.
    pub(crate) session_count: usize,
    /// Pairs of sessions that conflict.
    pub(crate) conflicts: Vec<SessionConflictView>,
    /// Sessions whose trace is incomplete, with the reasons.
    pub(crate) incomplete: Vec<(String, Vec<String>)>,
    /// Suggested settings in TOML; empty if there are none.
    pub(crate) settings: String,
    /// Required sessions by dependent session, each with the path that the dependent reads.
    pub(crate) requires: BTreeMap<String, Vec<(String, String)>>,
}

/// Two sessions that conflict.
#[derive(Debug)]
pub(crate) struct SessionConflictView {
    pub(crate) first: String,
    pub(crate) second: String,
    /// Reason why they never run at the same time; `None` if they may.
    pub(crate) separated_by: Option<String>,
    pub(crate) conflicts: Vec<AccessConflictView>,
}

/// One path that two sessions conflict on.
#[derive(Debug)]
pub(crate) struct AccessConflictView {
    /// Kind of conflict, such as `write–write`.
    pub(crate) kind: &'static str,
    pub(crate) path: String,
    /// Access by the earlier session, as text.
    pub(crate) first: String,
    /// Access by the later session, as text.
    pub(crate) second: String,
}

/// Renders the conflicts; `show_all` shows every path.
pub(crate) fn render_conflicts(report: &ConflictReportView, theme: OutputTheme, show_all: bool) -> String {
    let mut text = String::new();
    for conflict in &report.conflicts {
        render_session_conflict(conflict, theme, show_all, &mut text);
    }
    for (session, reasons) in &report.incomplete {
        let warning = theme.style_text(TextStyle::Bold, "warning");
        let _ = writeln!(text, "{warning}: the trace of {session} is incomplete");
        for reason in reasons {
            let _ = writeln!(text, "  {}", to_single_line(reason));
        }
    }
    if !report.incomplete.is_empty() {
        text.push('\n');
    }
    render_advice(report, theme, &mut text);
    text.push_str(&summary(report));
    text
}

fn render_session_conflict(conflict: &SessionConflictView, theme: OutputTheme, show_all: bool, text: &mut String) {
    let SessionConflictView { first, second, separated_by, conflicts } = conflict;
    let (first, second) = (to_single_line(first), to_single_line(second));
    let head = theme.style_text(TextStyle::Bold, &format!("{first} and {second}"));
    let reason = separated_by.as_ref().map_or(String::new(), |reason| format!("  ({})", to_single_line(reason)));
    let _ = writeln!(text, "{head}{}", theme.style_text(TextStyle::Dim, &reason));
    let limit = match (show_all, separated_by) {
        (true, _) => conflicts.len(),
        (false, None) => MAX_SHOWN_PATHS,
        (false, Some(_)) => 1,
    };
    for conflict in conflicts.iter().take(limit) {
        let path = theme.style_text(TextStyle::Accent, &to_single_line(&conflict.path));
        let _ = writeln!(text, "  {}: {path}", conflict.kind);
        let (one, other) = (to_single_line(&conflict.first), to_single_line(&conflict.second));
        let effects = format!("    {first} {one}, {second} {other}");
        let _ = writeln!(text, "{}", theme.style_text(TextStyle::Dim, &effects));
    }
    let hidden = conflicts.len().saturating_sub(limit);
    if hidden > 0 {
        let more = format!("and {hidden} more (-v shows all)");
        let _ = writeln!(text, "  {}", theme.style_text(TextStyle::Dim, &more));
    }
    text.push('\n');
}

/// Renders the advice as lines to paste into settings and noxfile.
fn render_advice(report: &ConflictReportView, theme: OutputTheme, text: &mut String) {
    if report.settings.is_empty() {
        return;
    }
    let head = theme.style_text(TextStyle::Bold, "Add to pyproject.toml, or run `noxide trace --apply`:");
    let _ = writeln!(text, "{head}\n");
    for line in report.settings.lines() {
        let _ = writeln!(text, "{}", if line.is_empty() { String::new() } else { format!("    {line}") });
    }
    text.push('\n');
    if report.requires.is_empty() {
        return;
    }
    let head = theme.style_text(TextStyle::Bold, "Or declare in the noxfile which sessions need the output of others:");
    let _ = writeln!(text, "{head}\n");
    for (session, required) in &report.requires {
        let names: Vec<String> = required.iter().map(|(name, _)| format!("{name:?}")).collect();
        let paths: BTreeSet<String> = required.iter().map(|(_, path)| to_single_line(path)).collect();
        let paths: Vec<String> = paths.into_iter().take(3).collect();
        let session = to_single_line(session);
        let _ = writeln!(text, "    {session}: requires=[{}]  # {}", names.join(", "), paths.join(", "));
    }
    text.push('\n');
}

fn summary(report: &ConflictReportView) -> String {
    let unresolved = report.conflicts.iter().filter(|conflict| conflict.separated_by.is_none()).count();
    let separated = report.conflicts.len() - unresolved;
    let new = if separated > 0 { "new " } else { "" };
    let verdict = match unresolved {
        0 if !report.incomplete.is_empty() => format!("no {new}conflict found, but some traces are incomplete"),
        0 => format!("no {new}conflicts"),
        _ => pluralize(unresolved, &format!("{new}conflict")),
    };
    let mut text = format!("{} traced: {verdict}", pluralize(report.session_count, "session"));
    if separated > 0 {
        let verb = if separated == 1 { "is" } else { "are" };
        let _ = write!(text, "; {} {verb} already prevented", pluralize(separated, "conflict"));
    }
    text.push('\n');
    text
}
