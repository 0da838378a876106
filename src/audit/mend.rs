//! The plan of all fixes: one after another, each through the gates, until nothing is left to mend.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Finding, Severity};
use super::fix::{Fix, Gate, pass, pass_text};
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

/// Plans all fixes of a project; nothing is written. Each round takes one fix of each file and looks again.
pub fn plan(project: Project, wanted: Wanted) -> FixPlan {
    let before: Vec<SharedSource> = sources(&project);
    let mut plan = FixPlan { files: Vec::new(), applied: Vec::new(), dropped: Vec::new(), project };
    let mut refused: BTreeSet<String> = BTreeSet::new();
    let mut findings = audit(&plan.project).findings;
    let mut settled = 0;
    for _ in 0..MOST {
        let tries = plan.candidates(&findings, wanted, &mut refused);
        if tries.is_empty() {
            // What was refused may fit now that others are done.
            if plan.applied.len() == settled {
                break;
            }
            settled = plan.applied.len();
            refused.clear();
            plan.dropped.clear();
            continue;
        }
        plan.round(tries, &mut findings, &mut refused);
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

/// A fix that passed the gates of its own file.
struct Try {
    finding: Finding,
    title: String,
    new: SharedSource,
}

impl FixPlan {
    /// The first open fix of each file, as far as its own file lets it pass.
    fn candidates(&mut self, findings: &[Finding], wanted: Wanted, refused: &mut BTreeSet<String>) -> Vec<Try> {
        let mut tries: BTreeMap<String, Try> = BTreeMap::new();
        let mut ordered: Vec<&Finding> = findings.iter().collect();
        ordered.sort_by_key(|finding| turn(finding.rule.id));
        for finding in ordered {
            let Some(fix) = finding.fix.as_ref().filter(|fix| wanted == Wanted::All || fix.safe) else { continue };
            if tries.contains_key(&fix.source.path) || refused.contains(&mark(finding)) {
                continue;
            }
            match self.passed(fix) {
                Ok(new) => {
                    let made = Try { finding: finding.clone(), title: fix.title.clone(), new };
                    tries.insert(fix.source.path.clone(), made);
                }
                Err(gate) => self.drop(finding, fix, gate, refused),
            }
        }
        tries.into_values().collect()
    }

    /// Passes a fix through the gates of its file: a workflow's tree, or what a noxfile's sessions do.
    fn passed(&self, fix: &Fix) -> Result<SharedSource, Gate> {
        let noxfile = self.project.noxfile.as_ref().filter(|noxfile| noxfile.source == fix.source);
        let Some(noxfile) = noxfile else { return pass(fix) };
        let new = pass_text(fix)?;
        let read = noxfile.reread(&new).ok_or_else(|| Gate::Meaning("it would be no Python".to_owned()))?;
        match noxfile.differences(&read).into_iter().find(|name| !fix.rewrites(name)) {
            Some(name) => Err(Gate::Meaning(format!("`{name}` of the noxfile would change"))),
            None => Ok(new),
        }
    }

    /// Puts the new texts in, looks again, and takes back what did not help.
    fn round(&mut self, tries: Vec<Try>, findings: &mut Vec<Finding>, refused: &mut BTreeSet<String>) {
        let new: Vec<SharedSource> = tries.iter().map(|made| made.new.clone()).collect();
        let mut next = self.project.with(&new);
        let mut left = audit(&next).findings;
        let (good, bad): (Vec<Try>, Vec<Try>) =
            tries.into_iter().partition(|made| helps(&made.finding, &made.new, findings, &left));
        for made in &bad {
            if let Some(fix) = &made.finding.fix {
                self.drop(&made.finding, fix, Gate::Finding(made.finding.rule.id.to_owned()), refused);
            }
        }
        if !bad.is_empty() {
            let new: Vec<SharedSource> = good.iter().map(|made| made.new.clone()).collect();
            next = self.project.with(&new);
            left = audit(&next).findings;
        }
        for made in good {
            let applied = Applied { rule: made.finding.rule.id, path: made.new.path.clone(), title: made.title };
            self.applied.push(applied);
        }
        self.project = next;
        *findings = left;
    }

    fn drop(&mut self, finding: &Finding, fix: &Fix, gate: Gate, refused: &mut BTreeSet<String>) {
        refused.insert(mark(finding));
        let (path, title) = (fix.source.path.clone(), fix.title.clone());
        self.dropped.push(Dropped { rule: finding.rule.id, path, title, gate });
    }
}

/// Whether a fix took a finding of its rule away, and brought none to its file that is grave.
fn helps(finding: &Finding, new: &SharedSource, before: &[Finding], after: &[Finding]) -> bool {
    let of_rule = |findings: &[Finding], id: &str, path: &str| {
        findings.iter().filter(|other| other.rule.id == id && other.place.source.path == path).count()
    };
    let (id, place) = (finding.rule.id, finding.place.source.path.as_str());
    let worse = after.iter().any(|other| {
        let grave = other.severity == Severity::High && other.place.source.path == new.path;
        grave && of_rule(after, other.rule.id, &new.path) > of_rule(before, other.rule.id, &new.path)
    });
    of_rule(after, id, place) < of_rule(before, id, place) && !worse
}

/// When a rule's fixes have their turn: jobs are put in order, then merged, and what is left is mended then.
fn turn(rule: &str) -> u8 {
    match rule {
        "NX202" | "NX205" | "NX211" | "NX213" | "NX214" | "NX215" | "NX301" | "NX304" | "NX306" => 0,
        "NX203" => 1,
        _ => 2,
    }
}

fn mark(finding: &Finding) -> String {
    let title = finding.fix.as_ref().map(|fix| fix.title.as_str()).unwrap_or_default();
    format!("{} {} {title}", finding.fingerprint(), finding.message)
}

fn sources(project: &Project) -> Vec<SharedSource> {
    let noxfile = project.noxfile.iter().map(|noxfile| noxfile.source.clone());
    project.workflows.iter().map(|workflow| workflow.source.clone()).chain(noxfile).collect()
}
