//! Findings as Markdown, for a step summary or an issue.

use super::counts::FindingCounts;
use super::groups::{confidence_note, group_by_rule};
use crate::audit::finding::{Finding, FindingLocation};
use crate::text::to_single_line;

/// Renders a table of rules with their locations, then the advice per rule.
pub(crate) fn render_markdown(findings: &[Finding], counts: FindingCounts) -> String {
    let mut text = format!("### Workflow audit\n\n{}\n", counts.summary_line(findings));
    if findings.is_empty() {
        return text;
    }
    text.push_str("\n| severity | rule | problem | locations |\n|---|---|---|---|\n");
    let groups = group_by_rule(findings);
    for group in &groups {
        let first = group[0];
        let locations: Vec<String> = group.iter().map(|finding| short_location(&finding.location)).collect();
        text.push_str(&format!(
            "| {}{} | {} `{}` | {} | {} |\n",
            first.severity,
            confidence_note(first.confidence),
            first.rule.id,
            first.rule.name,
            escape_cell(&first.message),
            locations.join(", ")
        ));
    }
    text.push_str("\n<details><summary>What to do</summary>\n\n");
    for group in &groups {
        text.push_str(&format!("- **{}** {}\n", group[0].rule.id, to_single_line(&group[0].advice)));
    }
    text.push_str("\n</details>\n");
    text
}

fn short_location(location: &FindingLocation) -> String {
    let name = location.source.path.rsplit('/').next().unwrap_or_default();
    format!("{}:{}", escape_cell(name), location.start_position().line)
}

fn escape_cell(text: &str) -> String {
    to_single_line(text).replace('|', "\\|").replace('<', "&lt;").replace('@', "&#64;")
}
