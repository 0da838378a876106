//! Fix plan: applies fixes in rounds, each validated, until no fixable finding remains.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::baseline::Baseline;
use super::super::finding::{Finding, FixResult, Severity, UnfixedRule};
use super::super::project::AuditProject;
use super::super::rule_runner::run_audit;
use super::super::source::SharedSource;
use super::edit::Fix;
use super::kept_work::find_lost_work;
use super::validate::{FixError, validate_text_fix, validate_yaml_fix};
use crate::fs::replace_content;
use crate::text::quote_path;

/// Limit of rounds, far above the number of findings of a project.
const MAX_FIX_ROUNDS: usize = 2000;
/// Limit of the bytes that all rounds audit together: each audits all files again.
const MAX_AUDITED_BYTES: usize = 64 << 20;
/// Limit of the jobs that all rounds audit together.
const MAX_AUDITED_JOBS: usize = 40_000;

/// Which fixes to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixLevel {
    /// Only fixes that do not change which sessions run or what they do.
    Safe,
    /// All fixes that keep every session and command: the safe and the unsafe ones, no patches.
    Unsafe,
    /// Patches to review too. They may remove sessions, so that tests apply them to copies only.
    Patches,
}

impl FixLevel {
    fn includes(self, fix: &Fix) -> bool {
        match self {
            Self::Safe => fix.is_safe(),
            Self::Unsafe => fix.is_applicable(),
            Self::Patches => true,
        }
    }
}

/// The planned file changes, and the fixes that make them.
#[derive(Debug)]
pub struct FixPlan {
    /// Files that change.
    pub changed_files: Vec<FileChange>,
    /// Applied fixes, in order.
    pub applied: Vec<AppliedFix>,
    /// Rejected fixes, each with the check it failed.
    pub rejected: Vec<RejectedFix>,
    /// Number of findings before the fixes, without those of the baseline.
    pub findings_before: usize,
    /// Findings that remain.
    pub remaining: Vec<Finding>,
    /// Whether fixes were left out because the files are too large for another round.
    pub is_incomplete: bool,
    /// The project after all applied fixes.
    pub project: AuditProject,
    /// Paths that are links to another file of the project, which is fixed instead.
    linked_paths: BTreeSet<String>,
    level: FixLevel,
}

impl FixPlan {
    /// Returns the changes as a unified diff.
    pub(crate) fn unified_diff(&self) -> String {
        let diff = |changed: &FileChange| {
            let path = &changed.old.path;
            let diff = similar::TextDiff::from_lines(&changed.old.text, &changed.new.text);
            let (old, new) = (quote_path(&format!("a/{path}")), quote_path(&format!("b/{path}")));
            diff.unified_diff().header(&old, &new).to_string()
        };
        self.changed_files.iter().map(diff).collect()
    }

    /// Returns the applied fixes, then the rejected ones.
    pub(crate) fn results(&self) -> Vec<FixResult<'_>> {
        let applied = self.applied.iter().map(|fix| FixResult {
            path: &fix.path,
            rule_id: fix.rule_id,
            title: &fix.title,
            rejection: None,
        });
        let rejected = self.rejected.iter().map(|fix| FixResult {
            path: &fix.path,
            rule_id: fix.rule_id,
            title: &fix.title,
            rejection: Some(fix.error.to_string()),
        });
        applied.chain(rejected).collect()
    }

    /// Returns the findings that are left, by rule and by the reason why no fix was applied; severest first.
    pub(crate) fn unfixed_rules(&self) -> Vec<UnfixedRule<'_>> {
        let mut rules: Vec<UnfixedRule<'_>> = Vec::new();
        for finding in &self.remaining {
            let reason = match &finding.fix {
                None => "no fix",
                Some(fix) if !fix.is_applicable() => "a patch to review; `noxide audit` shows it",
                Some(fix) if self.level == FixLevel::Safe && !fix.is_safe() => "the fix is unsafe; pass --unsafe-fixes",
                Some(_) => "the fix was refused, or its file is a link",
            };
            let is_same =
                |known: &&mut UnfixedRule<'_>| known.findings[0].rule == finding.rule && known.reason == reason;
            match rules.iter_mut().find(is_same) {
                Some(known) => known.findings.push(finding),
                None => rules.push(UnfixedRule { findings: vec![finding], reason }),
            }
        }
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.findings[0].severity));
        rules
    }

    /// Writes the changed files below `root`. File modes and symbolic links stay.
    ///
    /// # Errors
    /// When a file cannot be written, or is a link to a file outside of `root`.
    pub(crate) fn write(&self, root: &Path) -> std::io::Result<()> {
        let root = fs_err::canonicalize(root)?;
        self.changed_files.iter().try_for_each(|changed| {
            let path = root.join(&changed.new.path);
            if fs_err::canonicalize(&path)?.starts_with(&root) {
                return replace_content(&path, changed.new.text.as_bytes());
            }
            let message = format!("{} is a link to a file outside of the project; fix that file", changed.new.path);
            Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, message))
        })
    }
}

/// A file before and after.
#[derive(Clone, Debug)]
pub struct FileChange {
    /// Current content.
    pub old: SharedSource,
    /// Content after the fixes.
    pub new: SharedSource,
}

/// A fix that passed all checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedFix {
    /// ID of the rule.
    pub rule_id: &'static str,
    /// Path of the file.
    pub path: String,
    /// Title of the fix.
    pub title: String,
}

/// A fix that failed a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedFix {
    /// ID of the rule.
    pub rule_id: &'static str,
    /// Path of the file.
    pub path: String,
    /// Title of the fix.
    pub title: String,
    /// The check it failed.
    pub error: FixError,
}

/// Plans the fixes of a project without writing anything. Each round applies at most one fix per file, then audits
/// again. Findings of the baseline are not fixed.
pub fn plan_fixes(project: AuditProject, level: FixLevel, baseline: &Baseline) -> FixPlan {
    let before: Vec<SharedSource> = project_sources(&project);
    let mut plan = FixPlan {
        changed_files: Vec::new(),
        applied: Vec::new(),
        rejected: Vec::new(),
        findings_before: 0,
        remaining: Vec::new(),
        is_incomplete: false,
        linked_paths: find_linked_paths(&project),
        level,
        project,
    };
    let mut rejected_keys: BTreeSet<String> = BTreeSet::new();
    let mut findings = unbaselined_findings(&plan.project, baseline);
    plan.findings_before = findings.len();
    let mut applied_at_reset = 0;
    let jobs = plan.project.workflows.iter().map(|workflow| workflow.jobs.len()).sum();
    let max_rounds = max_fix_rounds(before.iter().map(|source| source.text.len()).sum(), jobs);
    for round in 0..=max_rounds {
        let candidates = plan.collect_candidates(&findings, &mut rejected_keys);
        if candidates.is_empty() {
            // A rejected fix may pass after others have been applied.
            if plan.applied.len() == applied_at_reset {
                break;
            }
            applied_at_reset = plan.applied.len();
            rejected_keys.clear();
            plan.rejected.clear();
            continue;
        }
        if round == max_rounds {
            plan.is_incomplete = true;
            break;
        }
        plan.apply_round(candidates, baseline, &mut findings, &mut rejected_keys);
    }
    plan.remaining = findings;
    let after: BTreeMap<String, SharedSource> =
        project_sources(&plan.project).into_iter().map(|source| (source.path.clone(), source)).collect();
    for old in before {
        if let Some(new) = after.get(&old.path).filter(|new| new.text != old.text) {
            plan.changed_files.push(FileChange { old, new: new.clone() });
        }
    }
    plan
}

/// Returns the number of rounds for files of this size with this many jobs: each round audits all of them again.
fn max_fix_rounds(bytes: usize, jobs: usize) -> usize {
    (MAX_AUDITED_BYTES / bytes.max(1)).min(MAX_AUDITED_JOBS / jobs.max(1)).clamp(1, MAX_FIX_ROUNDS)
}

/// A fix that passed the checks of its own file.
struct FixCandidate {
    finding: Finding,
    title: String,
    new_source: SharedSource,
}

impl FixPlan {
    /// Returns the first fix of each file that passes the checks of its file.
    fn collect_candidates(&mut self, findings: &[Finding], rejected_keys: &mut BTreeSet<String>) -> Vec<FixCandidate> {
        let mut candidates: BTreeMap<String, FixCandidate> = BTreeMap::new();
        let mut ordered: Vec<&Finding> = findings.iter().collect();
        ordered.sort_by_key(|finding| fix_phase(finding.rule.id));
        for finding in ordered {
            let Some(fix) = finding.fix.as_ref().filter(|fix| self.level.includes(fix)) else { continue };
            if candidates.contains_key(&fix.source.path)
                || rejected_keys.contains(&candidate_key(finding))
                || self.linked_paths.contains(&fix.source.path)
            {
                continue;
            }
            match self.validate_fix(fix) {
                Ok(new_source) => {
                    let candidate = FixCandidate { finding: finding.clone(), title: fix.title.clone(), new_source };
                    candidates.insert(fix.source.path.clone(), candidate);
                }
                Err(error) => self.reject_fix(finding, fix, error, rejected_keys),
            }
        }
        candidates.into_values().collect()
    }

    /// Checks a fix against its file: the YAML document of a workflow, or the sessions of the noxfile.
    fn validate_fix(&self, fix: &Fix) -> Result<SharedSource, FixError> {
        let noxfile = self.project.noxfile.as_ref().filter(|noxfile| noxfile.source == fix.source);
        let Some(noxfile) = noxfile else { return validate_yaml_fix(fix) };
        let new = validate_text_fix(fix)?;
        let reparsed = noxfile
            .reparse(&new)
            .ok_or_else(|| FixError::UnintendedChange("the noxfile would not be valid Python".to_owned()))?;
        match noxfile.changed_sessions(&reparsed).into_iter().find(|name| !fix.has_session_change(name)) {
            Some(name) => Err(FixError::UnintendedChange(format!("session `{name}` would change"))),
            None => Ok(new),
        }
    }

    /// Applies the candidates, audits again, and rejects those that lose a session or a command, or do not resolve
    /// their finding.
    fn apply_round(
        &mut self,
        candidates: Vec<FixCandidate>,
        baseline: &Baseline,
        findings: &mut Vec<Finding>,
        rejected_keys: &mut BTreeSet<String>,
    ) {
        let new: Vec<SharedSource> = candidates.iter().map(|candidate| candidate.new_source.clone()).collect();
        let mut next = self.project.with_sources(&new);
        let mut remaining = unbaselined_findings(&next, baseline);
        let mut good = Vec::new();
        let total = candidates.len();
        for candidate in candidates {
            match self.find_problem(&candidate, &next, findings, &remaining) {
                None => good.push(candidate),
                Some(error) => {
                    if let Some(fix) = &candidate.finding.fix {
                        self.reject_fix(&candidate.finding, fix, error, rejected_keys);
                    }
                }
            }
        }
        if good.len() < total {
            let new: Vec<SharedSource> = good.iter().map(|candidate| candidate.new_source.clone()).collect();
            next = self.project.with_sources(&new);
            remaining = unbaselined_findings(&next, baseline);
        }
        for candidate in good {
            let applied = AppliedFix {
                rule_id: candidate.finding.rule.id,
                path: candidate.new_source.path.clone(),
                title: candidate.title,
            };
            self.applied.push(applied);
        }
        self.project = next;
        *findings = remaining;
    }

    /// Returns why a candidate must not be applied, if so.
    fn find_problem(
        &self,
        candidate: &FixCandidate,
        next: &AuditProject,
        before: &[Finding],
        after: &[Finding],
    ) -> Option<FixError> {
        // Patches to review may remove sessions; they are never written.
        let lost = find_lost_work(&self.project, next, &candidate.new_source.path).map(FixError::WorkLost);
        lost.filter(|_| self.level != FixLevel::Patches).or_else(|| {
            let is_better = is_improvement(&candidate.finding, &candidate.new_source, before, after);
            (!is_better).then(|| FixError::FindingRemains(candidate.finding.rule.id.to_owned()))
        })
    }

    fn reject_fix(&mut self, finding: &Finding, fix: &Fix, error: FixError, rejected_keys: &mut BTreeSet<String>) {
        rejected_keys.insert(candidate_key(finding));
        let (path, title) = (fix.source.path.clone(), fix.title.clone());
        self.rejected.push(RejectedFix { rule_id: finding.rule.id, path, title, error });
    }
}

/// Whether a fix resolved a finding of its rule and caused no new high-severity finding in its file.
fn is_improvement(finding: &Finding, new: &SharedSource, before: &[Finding], after: &[Finding]) -> bool {
    let count_rule = |findings: &[Finding], id: &str, path: &str| {
        findings.iter().filter(|other| other.rule.id == id && other.location.source.path == path).count()
    };
    let (id, path) = (finding.rule.id, finding.location.source.path.as_str());
    let is_worse = after.iter().any(|other| {
        let is_high = other.severity == Severity::High && other.location.source.path == new.path;
        is_high && count_rule(after, other.rule.id, &new.path) > count_rule(before, other.rule.id, &new.path)
    });
    count_rule(after, id, path) < count_rule(before, id, path) && !is_worse
}

/// Returns the phase of a rule's fixes: first those of single jobs, then the merge of jobs, then all others.
fn fix_phase(rule: &str) -> u8 {
    match rule {
        "NX202" | "NX205" | "NX211" | "NX213" | "NX214" | "NX215" | "NX301" | "NX304" | "NX306" => 0,
        "NX203" => 1,
        _ => 2,
    }
}

/// Returns the findings that the baseline does not contain.
fn unbaselined_findings(project: &AuditProject, baseline: &Baseline) -> Vec<Finding> {
    baseline.clone().remove_known(run_audit(project).findings).0
}

/// Returns the paths that are links to another audited file.
fn find_linked_paths(project: &AuditProject) -> BTreeSet<String> {
    let sources = project_sources(project);
    let target = |path: &str| fs_err::canonicalize(project.root.join(path)).ok();
    let is_link = |path: &str| target(path) != fs_err::canonicalize(&project.root).ok().map(|root| root.join(path));
    let links = sources.iter().filter(|source| is_link(&source.path) && target(&source.path).is_some());
    let has_other_name = |link: &&SharedSource| {
        // Of several links to one file, the first is fixed.
        sources.iter().any(|other| {
            let is_before = !is_link(&other.path) || other.path < link.path;
            other.path != link.path && is_before && target(&other.path) == target(&link.path)
        })
    };
    links.filter(has_other_name).map(|source| source.path.clone()).collect()
}

fn candidate_key(finding: &Finding) -> String {
    let title = finding.fix.as_ref().map(|fix| fix.title.as_str()).unwrap_or_default();
    format!("{} {} {title}", finding.fingerprint(), finding.message)
}

fn project_sources(project: &AuditProject) -> Vec<SharedSource> {
    let noxfile = project.noxfile.iter().map(|noxfile| noxfile.source.clone());
    project.workflows.iter().map(|workflow| workflow.source.clone()).chain(noxfile).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_and_many_jobs_have_fewer_rounds() {
        let rounds = [0, 31_000, 600_000, 1 << 30].map(|bytes| max_fix_rounds(bytes, 1));
        assert_eq!(rounds, [MAX_FIX_ROUNDS, MAX_FIX_ROUNDS, 111, 1]);
        assert_eq!([20, 200, 100_000].map(|jobs| max_fix_rounds(1, jobs)), [MAX_FIX_ROUNDS, 200, 1]);
    }
}
