//! Findings as Markdown, for a step's summary or an issue.

use super::counts::{FindingCounts, group_by_rule};
use crate::audit::finding::{Finding, FindingLocation};

/// A table of rules with their places, then what to do.
pub(crate) fn render_markdown(findings: &[Finding], tally: FindingCounts) -> String {
    let mut text = format!("### Workflow audit\n\n{}\n", tally.summary_line(findings));
    if findings.is_empty() {
        return text;
    }
    text.push_str("\n| severity | rule | what | where |\n|---|---|---|---|\n");
    let groups = group_by_rule(findings);
    for group in &groups {
        let first = group[0];
        let places: Vec<String> = group.iter().map(|finding| short_location(&finding.location)).collect();
        text.push_str(&format!(
            "| {} | {} `{}` | {} | {} |\n",
            first.severity,
            first.rule.id,
            first.rule.name,
            escape_cell(&first.message),
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

fn short_location(place: &FindingLocation) -> String {
    format!("{}:{}", place.source.path.rsplit('/').next().unwrap_or_default(), place.start_position().line)
}

fn escape_cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
