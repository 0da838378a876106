//! Findings as plain lines in log groups, since Forgejo and Gitea show no annotations.

use super::counts::FindingCounts;
use super::groups::{FindingGroup, confidence_note, describe_lines, distinct_lines, group_by_rule_and_file};
use super::statistics::render_rule_table;
use crate::audit::finding::Finding;
use crate::output::workflow_command::group_command;
use crate::text::to_single_line;

/// Renders one line for each file and rule, `file:line:column: severity[id]: message`, in a log group for each file,
/// then the table of rules and the summary.
pub(crate) fn render_forgejo(findings: &[Finding], counts: FindingCounts) -> String {
    let mut groups = group_by_rule_and_file(findings);
    // Within a file in the order of the lines, as compilers print.
    groups.sort_by_key(|group| group[0].sort_key());
    let mut text = String::new();
    let mut file = "";
    for group in &groups {
        let path = group[0].location.source.path.as_str();
        if path != file {
            if !file.is_empty() {
                text.push_str("::endgroup::\n");
            }
            text.push_str(&format!("{}\n", group_command(path)));
            file = path;
        }
        text.push_str(&group_line(group));
    }
    if !file.is_empty() {
        text.push_str("::endgroup::\n");
    }
    text.push_str(&render_rule_table(findings));
    text.push_str(&counts.summary_line(findings));
    text.push('\n');
    text
}

/// Renders the findings of a rule in a file as one line: the first one, and the lines of the others.
pub(super) fn group_line(group: &FindingGroup<'_>) -> String {
    let finding = group[0];
    let start = finding.location.start_position();
    let others: Vec<usize> = distinct_lines(group).into_iter().filter(|line| *line != start.line).collect();
    let others = if others.is_empty() { others_here(group) } else { format!(" (also {})", describe_lines(&others)) };
    let line = format!(
        "{}:{}:{}: {}[{}]: {}{}{others}",
        finding.location.source.path,
        start.line,
        start.column,
        finding.severity,
        finding.rule.id,
        finding.message,
        confidence_note(finding.confidence),
    );
    to_single_line(&line) + "\n"
}

/// Describes further findings that are all on the line of the first one.
fn others_here(group: &FindingGroup<'_>) -> String {
    if group.len() > 1 { format!(" ({} times in this line)", group.len()) } else { String::new() }
}
