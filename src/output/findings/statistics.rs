//! Statistics: the number of findings of each rule, as a table, a list in Markdown or JSON.

use serde_json::{Value, json};

use super::counts::FindingCounts;
use super::groups::{FindingGroup, distinct_lines};
use crate::audit::finding::{Finding, Severity};

/// The findings of one rule with one severity.
struct RuleCount<'a> {
    findings: FindingGroup<'a>,
}

/// Counts the findings of each rule and severity: highest severity first, then most findings.
fn count_by_rule(findings: &[Finding]) -> Vec<RuleCount<'_>> {
    let mut counts: Vec<RuleCount<'_>> = Vec::new();
    for finding in findings {
        let is_same = |count: &&mut RuleCount<'_>| {
            count.findings[0].rule == finding.rule && count.findings[0].severity == finding.severity
        };
        match counts.iter_mut().find(is_same) {
            Some(count) => count.findings.push(finding),
            None => counts.push(RuleCount { findings: vec![finding] }),
        }
    }
    counts.sort_by_key(|count| {
        let first = count.findings[0];
        (std::cmp::Reverse(first.severity), std::cmp::Reverse(count.findings.len()), first.rule.id)
    });
    counts
}

impl RuleCount<'_> {
    fn severity(&self) -> Severity {
        self.findings[0].severity
    }

    /// Returns which fixes there are: none, or how many of the findings have which.
    fn describe_fixes(&self) -> String {
        let fixes = || self.findings.iter().filter_map(|finding| finding.fix.as_ref());
        let safe = fixes().filter(|fix| fix.is_safe()).count();
        let unsafe_fixes = fixes().filter(|fix| fix.is_applicable() && !fix.is_safe()).count();
        let patches = fixes().filter(|fix| !fix.is_applicable()).count();
        let parts = [(safe, "--fix"), (unsafe_fixes, "--fix --unsafe-fixes"), (patches, "patch to review")];
        let all = self.findings.len();
        let describe = |(number, what): (usize, &str)| match number {
            number if number == all => what.to_owned(),
            number => format!("{number} {what}"),
        };
        parts.into_iter().filter(|(number, _)| *number > 0).map(describe).collect::<Vec<_>>().join(", ")
    }
}

/// Renders the table of rules that ends a report; empty if there are no findings.
pub(super) fn render_rule_table(findings: &[Finding]) -> String {
    let rows: Vec<[String; 5]> = count_by_rule(findings)
        .iter()
        .map(|count| {
            let rule = count.findings[0].rule;
            let number = count.findings.len().to_string();
            [number, count.severity().to_string(), rule.id.to_owned(), rule.name.to_owned(), count.describe_fixes()]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..4).map(width).collect();
    let line = |[number, severity, id, name, fixes]: &[String; 5]| {
        let line = format!(
            "{number:>0$}  {severity:<1$}  {id:<2$}  {name:<3$}  {fixes}",
            widths[0].max(4),
            widths[1],
            widths[2],
            widths[3]
        );
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

/// Renders the statistics as text: the table and the summary line.
pub(super) fn render_statistics_text(findings: &[Finding], counts: FindingCounts) -> String {
    format!("{}{}\n", render_rule_table(findings), counts.summary_line(findings))
}

/// Renders the statistics as Markdown.
pub(super) fn render_statistics_markdown(findings: &[Finding], counts: FindingCounts) -> String {
    let mut text = format!("### Workflow audit\n\n{}\n", counts.summary_line(findings));
    if !findings.is_empty() {
        text.push_str("\n| findings | severity | rule | fix |\n|---|---|---|---|\n");
    }
    for count in count_by_rule(findings) {
        let rule = count.findings[0].rule;
        text.push_str(&format!(
            "| {} | {} | {} `{}` | {} |\n",
            count.findings.len(),
            count.severity(),
            rule.id,
            rule.name,
            count.describe_fixes()
        ));
    }
    text
}

/// Returns the statistics as the key `rules` of JSON documents: each rule with its number of findings and their lines.
pub(super) fn statistics_json(findings: &[Finding]) -> Vec<Value> {
    let rule_json = |count: &RuleCount<'_>| {
        let rule = count.findings[0].rule;
        let mut paths: Vec<&str> = count.findings.iter().map(|finding| finding.location.source.path.as_str()).collect();
        paths.dedup();
        let files: Vec<Value> = paths
            .into_iter()
            .map(|path| {
                let here = count.findings.iter().filter(|finding| finding.location.source.path == path);
                json!({ "path": path, "lines": distinct_lines(here) })
            })
            .collect();
        let fixes = || count.findings.iter().filter_map(|finding| finding.fix.as_ref());
        json!({
            "id": rule.id,
            "name": rule.name,
            "severity": count.severity(),
            "count": count.findings.len(),
            "fixable": fixes().filter(|fix| fix.is_applicable()).count(),
            "safely_fixable": fixes().filter(|fix| fix.is_safe()).count(),
            "files": files,
        })
    };
    count_by_rule(findings).iter().map(rule_json).collect()
}
