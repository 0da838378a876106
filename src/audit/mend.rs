//! The plan of all fixes: one after another, each through the gates, until nothing is left to mend.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Finding, Severity};
use super::fix::{Fix, Gate, pass};
use super::report::audit;
use super::span::SharedSource;
use super::survey::Project;

/// The most fixes tried: far more than a project has findings.
const MOST: usize = 2000;

/// Which fixes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Those that cannot change what a workflow does.
    Safe,
    /// All.
    All,
}

/// What would be written.
#[derive(Debug)]
pub struct FixPlan {
    /// Files with their new text.
    pub files: Vec<Changed>,
    /// What was mended, in order: rule, file, title.
    pub applied: Vec<Applied>,
    /// What was dropped, and at which gate.
    pub dropped: Vec<Dropped>,
    /// The project as it would be.
    pub project: Project,
}

/// A file before and after.
#[derive(Clone, Debug)]
pub struct Changed {
    /// As it is.
    pub old: SharedSource,
    /// As it would be.
    pub new: SharedSource,
}

/// A fix that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The rule's number.
    pub rule: &'static str,
    /// The file.
    pub path: String,
    /// What it did.
    pub title: String,
}

/// A fix that did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The rule's number.
    pub rule: &'static str,
    /// The file.
    pub path: String,
    /// What it would have done.
    pub title: String,
    /// Why not.
    pub gate: Gate,
}

/// Plans all fixes of a project; nothing is written.
pub fn plan(project: Project, wanted: Wanted) -> FixPlan {
    let before: Vec<SharedSource> = sources(&project);
    let mut plan = FixPlan { files: Vec::new(), applied: Vec::new(), dropped: Vec::new(), project };
    let mut refused: BTreeSet<String> = BTreeSet::new();
    let mut findings = audit(&plan.project).findings;
    for _ in 0..MOST {
        let open = |finding: &&Finding| {
            let fits = finding.fix.as_ref().is_some_and(|fix| wanted == Wanted::All || fix.safe);
            fits && !refused.contains(&mark(finding))
        };
        let Some(finding) = findings.iter().find(open) else { break };
        let Some(fix) = finding.fix.clone() else { break };
        let (rule, key) = (finding.rule.id, mark(finding));
        let applied = Applied { rule, path: fix.source.path.clone(), title: fix.title.clone() };
        match attempt(&plan.project, &findings, rule, &fix) {
            Ok((next, left)) => {
                plan.project = next;
                findings = left;
                plan.applied.push(applied);
            }
            Err(gate) => {
                plan.dropped.push(Dropped { rule, path: applied.path, title: applied.title, gate });
                refused.insert(key);
            }
        }
    }
    let after: BTreeMap<String, SharedSource> =
        sources(&plan.project).into_iter().map(|source| (source.path.clone(), source)).collect();
    for old in before {
        if let Some(new) = after.get(&old.path).filter(|new| new.text != old.text) {
            plan.files.push(Changed { old, new: new.clone() });
        }
    }
    plan
}

/// Passes one fix through the gates and looks at what is left.
fn attempt(
    project: &Project,
    before: &[Finding],
    rule: &'static str,
    fix: &Fix,
) -> Result<(Project, Vec<Finding>), Gate> {
    let new = pass(fix)?;
    let next = project.with(&new);
    let left = audit(&next).findings;
    let count = |findings: &[Finding], id: &str| findings.iter().filter(|finding| finding.rule.id == id).count();
    if count(&left, rule) >= count(before, rule) {
        return Err(Gate::Finding(rule.to_owned()));
    }
    // A fix may bring a milder finding to light, but none that is worse than what it mends.
    let worse = left.iter().find(|finding| {
        let fresh = count(&left, finding.rule.id) > count(before, finding.rule.id);
        fresh && finding.severity == Severity::High
    });
    match worse {
        Some(finding) => Err(Gate::Finding(finding.rule.id.to_owned())),
        None => Ok((next, left)),
    }
}

fn mark(finding: &Finding) -> String {
    let title = finding.fix.as_ref().map(|fix| fix.title.as_str()).unwrap_or_default();
    format!("{} {} {title}", finding.fingerprint(), finding.message)
}

fn sources(project: &Project) -> Vec<SharedSource> {
    project.workflows.iter().map(|workflow| workflow.source.clone()).collect()
}
