//! Summary of applied fixes: per file what was fixed and what was refused, then what is left and why, then totals.

use super::groups::describe_places;
use crate::audit::finding::{FixResult, UnfixedRule};
use crate::text::{pluralize, to_single_line};

/// Counts of a fix run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FixCounts {
    /// Changed files.
    pub(crate) files: usize,
    /// Findings before the fixes.
    pub(crate) findings_before: usize,
    /// Findings that remain.
    pub(crate) findings_left: usize,
    /// Whether nothing was written.
    pub(crate) is_dry_run: bool,
}

/// Renders the summary.
pub(crate) fn render_fix_summary(fixes: &[FixResult<'_>], unfixed: &[UnfixedRule<'_>], counts: FixCounts) -> String {
    let mut files: Vec<(&str, Vec<(String, usize)>)> = Vec::new();
    for fix in fixes {
        let line = match &fix.rejection {
            None if counts.is_dry_run => format!("  {}  would fix: {}", fix.rule_id, fix.title),
            None => format!("  {}  fixed: {}", fix.rule_id, fix.title),
            Some(reason) => format!("  {}  refused: {}: {reason}", fix.rule_id, fix.title),
        };
        let at = files.iter().position(|(path, _)| *path == fix.path).unwrap_or_else(|| {
            files.push((fix.path, Vec::new()));
            files.len() - 1
        });
        match files[at].1.iter_mut().find(|(known, _)| *known == line) {
            Some((_, times)) => *times += 1,
            None => files[at].1.push((line, 1)),
        }
    }
    let mut text = String::new();
    for (path, lines) in files {
        text.push_str(&format!("{}\n", to_single_line(path)));
        for (line, times) in lines {
            let line = to_single_line(&line);
            let repeated = if times > 1 { format!(" ({times} times)") } else { String::new() };
            text.push_str(&format!("  {line}{repeated}\n"));
        }
    }
    if !unfixed.is_empty() {
        text.push_str("left:\n");
    }
    for rule in unfixed {
        let first = rule.findings[0];
        let (id, name, places) = (first.rule.id, first.rule.name, describe_places(&rule.findings));
        text.push_str(&format!("  {id}  {}  {name} at {places}: {}\n", first.severity, rule.reason));
    }
    let applied = fixes.iter().filter(|fix| fix.rejection.is_none()).count();
    let verb = if counts.is_dry_run { "would apply" } else { "applied" };
    text.push_str(&format!(
        "{verb} {} to {}: {} before, {} left\n",
        pluralize(applied, "fix"),
        pluralize(counts.files, "file"),
        pluralize(counts.findings_before, "finding"),
        counts.findings_left
    ));
    text
}
