//! Counts of an audit, and its summary line.

use crate::audit::finding::{Finding, Severity};
use crate::text::pluralize;

/// Number of audited files, and of findings that are not reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FindingCounts {
    /// Workflow files that were audited.
    pub(crate) workflow_files: usize,
    /// Findings ignored by comments or settings.
    pub(crate) ignored: usize,
    /// Findings ignored because the baseline contains them.
    pub(crate) in_baseline: usize,
}

impl FindingCounts {
    /// Returns the summary line of the audit.
    pub(super) fn summary_line(self, findings: &[Finding]) -> String {
        let files = pluralize(self.workflow_files, "workflow file");
        let mut line = if findings.is_empty() {
            format!("no findings in {files}")
        } else {
            let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
            let counts = Severity::ALL.into_iter().rev().map(|severity| (count(severity), severity));
            let counts: Vec<String> =
                counts.filter(|(count, _)| *count > 0).map(|(count, severity)| format!("{count} {severity}")).collect();
            let fixes = || findings.iter().filter_map(|finding| finding.fix.as_ref());
            let (fixable, safe) =
                (fixes().filter(|fix| fix.is_applicable()).count(), fixes().filter(|fix| fix.is_safe()).count());
            let fixable = match (fixable, safe) {
                (0, _) => String::new(),
                (all, 0) => format!("; {all} fixable with --fix --unsafe-fixes"),
                (all, safe) if all == safe => format!("; {all} fixable with --fix"),
                (all, safe) => format!("; {safe} fixable with --fix, {} more with --unsafe-fixes", all - safe),
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
