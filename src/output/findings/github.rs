//! Findings as GitHub annotations, one for each rule and file, highest severity first, since GitHub shows ten per step.

use super::counts::FindingCounts;
use super::groups::{FindingGroup, confidence_note, describe_lines, distinct_lines, group_by_rule_and_file};
use super::statistics::render_rule_table;
use crate::audit::finding::{Finding, Severity};
use crate::output::workflow_command::{escape_data, escape_property};

/// Number of annotations that GitHub shows per step.
const MAX_ANNOTATIONS: usize = 10;

/// Renders workflow commands, then further findings as plain lines, then the table of rules and the summary.
pub(crate) fn render_github(findings: &[Finding], counts: FindingCounts) -> String {
    let groups = group_by_rule_and_file(findings);
    let mut text: String = groups.iter().take(MAX_ANNOTATIONS).map(render_annotation).collect();
    for group in groups.iter().skip(MAX_ANNOTATIONS) {
        text.push_str(&super::forgejo::group_line(group));
    }
    text.push_str(&render_rule_table(findings));
    text.push_str(&counts.summary_line(findings));
    text.push('\n');
    text
}

/// Renders the findings of a rule in a file as one annotation at the first of them.
fn render_annotation(group: &FindingGroup<'_>) -> String {
    let finding = group[0];
    let command = match finding.severity {
        Severity::High => "error",
        Severity::Medium | Severity::Low => "warning",
        Severity::Info => "notice",
    };
    let (start, end) = (finding.location.start_position(), finding.location.end_position());
    let count = if group.len() > 1 { format!(" ({} findings)", group.len()) } else { String::new() };
    let confidence = confidence_note(finding.confidence);
    let title = escape_property(&format!("{} {}{count}{confidence}", finding.rule.id, finding.rule.name));
    let file = escape_property(&finding.location.source.path);
    let message = escape_data(&format!("{}.{} {}", finding.message, describe_others(group), finding.advice));
    format!(
        "::{command} file={file},line={},endLine={},col={},title={title}::{message}\n",
        start.line, end.line, start.column
    )
}

/// Describes the findings after the first: their lines if all say the same, else each with its message.
fn describe_others(group: &FindingGroup<'_>) -> String {
    let others = group.get(1..).unwrap_or_default();
    if others.is_empty() {
        return String::new();
    }
    if others.iter().all(|other| other.message == group[0].message) {
        return format!(" Also in {}.", describe_lines(&distinct_lines(others)));
    }
    let line = |other: &&Finding| format!("\nline {}: {}.", other.location.start_position().line, other.message);
    others.iter().map(line).collect::<String>() + "\n"
}
