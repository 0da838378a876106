//! Findings as GitHub annotations, highest severity first, since GitHub shows ten per step.

use super::counts::FindingCounts;
use crate::audit::finding::{Finding, Severity};
use crate::output::workflow_command::{escape_data, escape_property};

/// Number of annotations that GitHub shows per step.
const MAX_ANNOTATIONS: usize = 10;

/// Renders workflow commands, then further findings as plain lines, then the summary.
pub(crate) fn render_github(findings: &[Finding], counts: FindingCounts) -> String {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let mut text = String::new();
    for finding in sorted.iter().take(MAX_ANNOTATIONS) {
        let command = match finding.severity {
            Severity::High => "error",
            Severity::Medium | Severity::Low => "warning",
            Severity::Info => "notice",
        };
        let (start, end) = (finding.location.start_position(), finding.location.end_position());
        let title = escape_property(&format!("{} {}", finding.rule.id, finding.rule.name));
        let file = escape_property(&finding.location.source.path);
        let message = escape_data(&format!("{}. {}", finding.message, finding.advice));
        text.push_str(&format!(
            "::{command} file={file},line={},endLine={},col={},title={title}::{message}\n",
            start.line, end.line, start.column
        ));
    }
    for finding in sorted.iter().skip(MAX_ANNOTATIONS) {
        text.push_str(&super::forgejo::finding_line(finding));
    }
    text.push_str(&counts.summary_line(findings));
    text.push('\n');
    text
}
