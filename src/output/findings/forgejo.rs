//! Findings as plain lines in a fold: Forgejo and Gitea show no annotations.

use super::counts::FindingCounts;
use crate::audit::finding::Finding;

/// `file:line:col: level[id]: …` in a fold for each file, then the tally.
pub(crate) fn render_forgejo(findings: &[Finding], tally: FindingCounts) -> String {
    let mut text = String::new();
    let mut file = "";
    for finding in findings {
        let path = finding.location.source.path.as_str();
        if path != file {
            if !file.is_empty() {
                text.push_str("::endgroup::\n");
            }
            text.push_str(&format!("::group::{path}\n"));
            file = path;
        }
        text.push_str(&finding_line(finding));
    }
    if !file.is_empty() {
        text.push_str("::endgroup::\n");
    }
    text.push_str(&tally.summary_line(findings));
    text.push('\n');
    text
}

/// A finding in one line.
pub(super) fn finding_line(finding: &Finding) -> String {
    let start = finding.location.start_position();
    format!(
        "{}:{}:{}: {}[{}]: {}\n",
        finding.location.source.path, start.line, start.column, finding.severity, finding.rule.id, finding.message
    )
}
