//! Findings as Markdown, for a step's summary or an issue.

use super::tally::{Tally, by_rule};
use crate::audit::finding::{Finding, Place};

/// A table of rules with their places, then what to do.
pub fn markdown(findings: &[Finding], tally: Tally) -> String {
    let mut text = format!("### Workflow audit\n\n{}\n", tally.line(findings));
    if findings.is_empty() {
        return text;
    }
    text.push_str("\n| severity | rule | what | where |\n|---|---|---|---|\n");
    let groups = by_rule(findings);
    for group in &groups {
        let first = group[0];
        let places: Vec<String> = group.iter().map(|finding| at(&finding.place)).collect();
        text.push_str(&format!(
            "| {} | {} `{}` | {} | {} |\n",
            first.severity,
            first.rule.id,
            first.rule.name,
            cell(&first.message),
            places.join(", ")
        ));
    }
    text.push_str("\n<details><summary>What to do</summary>\n\n");
    for group in &groups {
        text.push_str(&format!("- **{}** {}\n", group[0].rule.id, group[0].advice));
    }
    text.push_str("\n</details>\n");
    text
}

fn at(place: &Place) -> String {
    format!("{}:{}", place.source.path.rsplit('/').next().unwrap_or_default(), place.start().line)
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
