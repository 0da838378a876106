//! Findings as plain lines in a fold: Forgejo and Gitea show no annotations.

use super::tally::Tally;
use crate::audit::finding::Finding;

/// `file:line:col: level[id]: …` in a fold for each file, then the tally.
pub fn forgejo(findings: &[Finding], tally: Tally) -> String {
    let mut text = String::new();
    let mut file = "";
    for finding in findings {
        let path = finding.place.source.path.as_str();
        if path != file {
            if !file.is_empty() {
                text.push_str("::endgroup::\n");
            }
            text.push_str(&format!("::group::{path}\n"));
            file = path;
        }
        text.push_str(&line(finding));
    }
    if !file.is_empty() {
        text.push_str("::endgroup::\n");
    }
    text.push_str(&tally.line(findings));
    text.push('\n');
    text
}

/// A finding in one line.
pub(super) fn line(finding: &Finding) -> String {
    let start = finding.place.start();
    format!(
        "{}:{}:{}: {}[{}]: {}\n",
        finding.place.source.path, start.line, start.column, finding.severity, finding.rule.id, finding.message
    )
}
