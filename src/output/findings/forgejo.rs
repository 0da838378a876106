//! Findings as plain lines in log groups, since Forgejo and Gitea show no annotations.

use super::counts::FindingCounts;
use crate::audit::finding::Finding;
use crate::output::workflow_command::group_command;
use crate::text::to_single_line;

/// Renders `file:line:column: severity[id]: message` lines in a log group per file, then the summary.
pub(crate) fn render_forgejo(findings: &[Finding], counts: FindingCounts) -> String {
    let mut text = String::new();
    let mut file = "";
    for finding in findings {
        let path = finding.location.source.path.as_str();
        if path != file {
            if !file.is_empty() {
                text.push_str("::endgroup::\n");
            }
            text.push_str(&format!("{}\n", group_command(path)));
            file = path;
        }
        text.push_str(&finding_line(finding));
    }
    if !file.is_empty() {
        text.push_str("::endgroup::\n");
    }
    text.push_str(&counts.summary_line(findings));
    text.push('\n');
    text
}

/// Renders a finding as one line.
pub(super) fn finding_line(finding: &Finding) -> String {
    let start = finding.location.start_position();
    let line = format!(
        "{}:{}:{}: {}[{}]: {}",
        finding.location.source.path, start.line, start.column, finding.severity, finding.rule.id, finding.message
    );
    to_single_line(&line) + "\n"
}
