//! What an audit counted beside its findings, and findings that say the same put together.

use crate::audit::finding::{Finding, Severity};
use crate::text::pluralize;

/// What was looked at and passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FindingCounts {
    /// Workflow files looked at.
    pub(crate) workflow_files: usize,
    /// Findings passed over by comments or settings.
    pub(crate) ignored: usize,
    /// Findings passed over because the baseline has them.
    pub(crate) in_baseline: usize,
}

impl FindingCounts {
    /// One line that says how it ended.
    pub(super) fn summary_line(self, findings: &[Finding]) -> String {
        let files = pluralize(self.workflow_files, "workflow file");
        let mut line = if findings.is_empty() {
            format!("nothing found in {files}")
        } else {
            let by = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
            let counts = Severity::ALL.into_iter().rev().map(|severity| (by(severity), severity));
            let counts: Vec<String> =
                counts.filter(|(count, _)| *count > 0).map(|(count, severity)| format!("{count} {severity}")).collect();
            let fixable = findings.iter().filter(|finding| finding.fix.is_some()).count();
            let safe = findings.iter().filter(|finding| finding.fix.as_ref().is_some_and(|fix| fix.safe)).count();
            let fixable = match (fixable, safe) {
                (0, _) => String::new(),
                (all, 0) => format!("; {all} with --fix --unsafe-fixes"),
                (all, safe) if all == safe => format!("; --fix mends {all}"),
                (all, safe) => format!("; --fix mends {safe}, --unsafe-fixes {} more", all - safe),
            };
            format!("{} in {files}: {}{fixable}", pluralize(findings.len(), "finding"), counts.join(", "))
        };
        if self.ignored > 0 {
            line.push_str(&format!("; {} ignored", self.ignored));
        }
        if self.in_baseline > 0 {
            line.push_str(&format!("; {} in the baseline", self.in_baseline));
        }
        line
    }
}

/// Findings of one rule together, in the order of their first places, the gravest rules first.
pub(super) fn group_by_rule(findings: &[Finding]) -> Vec<Vec<&Finding>> {
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for finding in findings {
        match groups.iter_mut().find(|group| group[0].rule == finding.rule && group[0].severity == finding.severity) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group[0].severity));
    groups
}
