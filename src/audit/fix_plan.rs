//! Plan of all fixes: applied one after another, each validated, until nothing is left to fix.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::finding::{Finding, Severity};
use super::fix::{Fix, FixError, validate_text_fix, validate_yaml_fix};
use super::project::AuditProject;
use super::rule_runner::run_audit;
use super::source::SharedSource;
use crate::fs::write_atomic;

/// The most fixes tried: far more than a project has findings.
const MAX_FIX_ROUNDS: usize = 2000;

/// Which fixes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixLevel {
    /// Those that cannot change what a workflow does.
    Safe,
    /// All.
    All,
}

/// What would be written.
#[derive(Debug)]
pub struct FixPlan {
    /// Files with their new text.
    pub changed_files: Vec<FileChange>,
    /// What was mended, in order: rule, file, title.
    pub applied: Vec<AppliedFix>,
    /// What was dropped, and at which gate.
    pub rejected: Vec<RejectedFix>,
    /// The project as it would be.
    pub project: AuditProject,
}

impl FixPlan {
    /// Returns the changes as a unified diff.
    pub(crate) fn unified_diff(&self) -> String {
        let diff = |changed: &FileChange| {
            let path = &changed.old.path;
            let diff = similar::TextDiff::from_lines(&changed.old.text, &changed.new.text);
            diff.unified_diff().header(&format!("a/{path}"), &format!("b/{path}")).to_string()
        };
        self.changed_files.iter().map(diff).collect()
    }

    /// Writes the changed files below `root`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn write(&self, root: &Path) -> std::io::Result<()> {
        self.changed_files
            .iter()
            .try_for_each(|changed| write_atomic(&root.join(&changed.new.path), changed.new.text.as_bytes()))
    }
}

/// A file before and after.
#[derive(Clone, Debug)]
pub struct FileChange {
    /// As it is.
    pub old: SharedSource,
    /// As it would be.
    pub new: SharedSource,
}

/// A fix that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedFix {
    /// The rule's number.
    pub rule_id: &'static str,
    /// The file.
    pub path: String,
    /// What it did.
    pub title: String,
}

/// A fix that did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedFix {
    /// The rule's number.
    pub rule_id: &'static str,
    /// The file.
    pub path: String,
    /// What it would have done.
    pub title: String,
    /// Why not.
    pub error: FixError,
}

/// Plans all fixes of a project; nothing is written. Each round takes one fix of each file and looks again.
pub fn plan_fixes(project: AuditProject, wanted: FixLevel) -> FixPlan {
    let before: Vec<SharedSource> = project_sources(&project);
    let mut plan = FixPlan { changed_files: Vec::new(), applied: Vec::new(), rejected: Vec::new(), project };
    let mut refused: BTreeSet<String> = BTreeSet::new();
    let mut findings = run_audit(&plan.project).findings;
    let mut settled = 0;
    for _ in 0..MAX_FIX_ROUNDS {
        let tries = plan.collect_candidates(&findings, wanted, &mut refused);
        if tries.is_empty() {
            // What was refused may fit now that others are done.
            if plan.applied.len() == settled {
                break;
            }
            settled = plan.applied.len();
            refused.clear();
            plan.rejected.clear();
            continue;
        }
        plan.apply_round(tries, &mut findings, &mut refused);
    }
    let after: BTreeMap<String, SharedSource> =
        project_sources(&plan.project).into_iter().map(|source| (source.path.clone(), source)).collect();
    for old in before {
        if let Some(new) = after.get(&old.path).filter(|new| new.text != old.text) {
            plan.changed_files.push(FileChange { old, new: new.clone() });
        }
    }
    plan
}

/// A fix that passed the gates of its own file.
struct FixCandidate {
    finding: Finding,
    title: String,
    new_source: SharedSource,
}

impl FixPlan {
    /// The first open fix of each file, as far as its own file lets it pass.
    fn collect_candidates(
        &mut self,
        findings: &[Finding],
        wanted: FixLevel,
        refused: &mut BTreeSet<String>,
    ) -> Vec<FixCandidate> {
        let mut tries: BTreeMap<String, FixCandidate> = BTreeMap::new();
        let mut ordered: Vec<&Finding> = findings.iter().collect();
        ordered.sort_by_key(|finding| fix_phase(finding.rule.id));
        for finding in ordered {
            let Some(fix) = finding.fix.as_ref().filter(|fix| wanted == FixLevel::All || fix.safe) else { continue };
            if tries.contains_key(&fix.source.path) || refused.contains(&candidate_key(finding)) {
                continue;
            }
            match self.validate_fix(fix) {
                Ok(new) => {
                    let made = FixCandidate { finding: finding.clone(), title: fix.title.clone(), new_source: new };
                    tries.insert(fix.source.path.clone(), made);
                }
                Err(gate) => self.reject_fix(finding, fix, gate, refused),
            }
        }
        tries.into_values().collect()
    }

    /// Passes a fix through the gates of its file: a workflow's tree, or what a noxfile's sessions do.
    fn validate_fix(&self, fix: &Fix) -> Result<SharedSource, FixError> {
        let noxfile = self.project.noxfile.as_ref().filter(|noxfile| noxfile.source == fix.source);
        let Some(noxfile) = noxfile else { return validate_yaml_fix(fix) };
        let new = validate_text_fix(fix)?;
        let read =
            noxfile.reparse(&new).ok_or_else(|| FixError::UnintendedChange("it would be no Python".to_owned()))?;
        match noxfile.changed_sessions(&read).into_iter().find(|name| !fix.has_session_change(name)) {
            Some(name) => Err(FixError::UnintendedChange(format!("`{name}` of the noxfile would change"))),
            None => Ok(new),
        }
    }

    /// Puts the new texts in, looks again, and takes back what did not help.
    fn apply_round(&mut self, tries: Vec<FixCandidate>, findings: &mut Vec<Finding>, refused: &mut BTreeSet<String>) {
        let new: Vec<SharedSource> = tries.iter().map(|made| made.new_source.clone()).collect();
        let mut next = self.project.with_sources(&new);
        let mut left = run_audit(&next).findings;
        let (good, bad): (Vec<FixCandidate>, Vec<FixCandidate>) =
            tries.into_iter().partition(|made| is_improvement(&made.finding, &made.new_source, findings, &left));
        for made in &bad {
            if let Some(fix) = &made.finding.fix {
                self.reject_fix(&made.finding, fix, FixError::FindingRemains(made.finding.rule.id.to_owned()), refused);
            }
        }
        if !bad.is_empty() {
            let new: Vec<SharedSource> = good.iter().map(|made| made.new_source.clone()).collect();
            next = self.project.with_sources(&new);
            left = run_audit(&next).findings;
        }
        for made in good {
            let applied =
                AppliedFix { rule_id: made.finding.rule.id, path: made.new_source.path.clone(), title: made.title };
            self.applied.push(applied);
        }
        self.project = next;
        *findings = left;
    }

    fn reject_fix(&mut self, finding: &Finding, fix: &Fix, gate: FixError, refused: &mut BTreeSet<String>) {
        refused.insert(candidate_key(finding));
        let (path, title) = (fix.source.path.clone(), fix.title.clone());
        self.rejected.push(RejectedFix { rule_id: finding.rule.id, path, title, error: gate });
    }
}

/// Whether a fix took a finding of its rule away, and brought none to its file that is grave.
fn is_improvement(finding: &Finding, new: &SharedSource, before: &[Finding], after: &[Finding]) -> bool {
    let of_rule = |findings: &[Finding], id: &str, path: &str| {
        findings.iter().filter(|other| other.rule.id == id && other.location.source.path == path).count()
    };
    let (id, place) = (finding.rule.id, finding.location.source.path.as_str());
    let worse = after.iter().any(|other| {
        let grave = other.severity == Severity::High && other.location.source.path == new.path;
        grave && of_rule(after, other.rule.id, &new.path) > of_rule(before, other.rule.id, &new.path)
    });
    of_rule(after, id, place) < of_rule(before, id, place) && !worse
}

/// When a rule's fixes have their turn: jobs are put in order, then merged, and what is left is mended then.
fn fix_phase(rule: &str) -> u8 {
    match rule {
        "NX202" | "NX205" | "NX211" | "NX213" | "NX214" | "NX215" | "NX301" | "NX304" | "NX306" => 0,
        "NX203" => 1,
        _ => 2,
    }
}

fn candidate_key(finding: &Finding) -> String {
    let title = finding.fix.as_ref().map(|fix| fix.title.as_str()).unwrap_or_default();
    format!("{} {} {title}", finding.fingerprint(), finding.message)
}

fn project_sources(project: &AuditProject) -> Vec<SharedSource> {
    let noxfile = project.noxfile.iter().map(|noxfile| noxfile.source.clone());
    project.workflows.iter().map(|workflow| workflow.source.clone()).chain(noxfile).collect()
}
