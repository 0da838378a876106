//! Findings as GitHub's annotations: it shows ten a step, so the gravest come first.

use super::tally::Tally;
use crate::audit::finding::{Finding, Severity};

/// The most annotations that GitHub shows of one step.
const MOST: usize = 10;

/// Workflow commands, one a line, then the tally.
pub fn github(findings: &[Finding], tally: Tally) -> String {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let mut text = String::new();
    for finding in sorted.iter().take(MOST) {
        let command = match finding.severity {
            Severity::High => "error",
            Severity::Medium | Severity::Low => "warning",
            Severity::Info => "notice",
        };
        let (start, end) = (finding.place.start(), finding.place.end());
        let title = property(&format!("{} {}", finding.rule.id, finding.rule.name));
        let file = property(&finding.place.source.path);
        let message = data(&format!("{}. {}", finding.message, finding.advice));
        text.push_str(&format!(
            "::{command} file={file},line={},endLine={},col={},title={title}::{message}\n",
            start.line, end.line, start.column
        ));
    }
    for finding in sorted.iter().skip(MOST) {
        text.push_str(&super::forgejo::line(finding));
    }
    text.push_str(&tally.line(findings));
    text.push('\n');
    text
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
