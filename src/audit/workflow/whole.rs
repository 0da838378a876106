//! A whole workflow or composite action.

use super::super::dialect::Dialect;
use super::super::span::{SharedSource, Source};
use super::super::yaml::{Node, YamlError, read};
use super::job::Job;
use super::step::Step;
use super::text::{Text, texts};
use super::trigger::Triggers;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A workflow.
    Workflow,
    /// A composite action (`action.yml`): one job's steps.
    Action,
}

/// A workflow or a composite action, read.
#[derive(Clone, Debug)]
pub struct Workflow {
    /// Its file.
    pub source: SharedSource,
    /// What it is.
    pub kind: FileKind,
    /// Which forge reads it.
    pub dialect: Dialect,
    /// Its `name`.
    pub name: Option<Text>,
    /// What starts it.
    pub on: Triggers,
    /// Its `env`.
    pub env: Vec<(Text, Text)>,
    /// Its jobs, in the file's order.
    pub jobs: Vec<Job>,
    /// The whole tree.
    pub root: Node,
    /// Its place among the project's workflows.
    pub number: usize,
}

impl Workflow {
    /// Reads a file's text.
    pub fn read(source: SharedSource, kind: FileKind, dialect: Dialect) -> Result<Self, YamlError> {
        let root = read(&source.text)?;
        let jobs = match kind {
            FileKind::Workflow => {
                let jobs = root.get("jobs").map(Node::entries).unwrap_or_default();
                jobs.iter().filter_map(|(key, node)| Job::read(&source, key, node)).collect()
            }
            FileKind::Action => {
                let runs = root.entry("runs").filter(|(_, runs)| runs.get("steps").is_some());
                runs.and_then(|(key, node)| Job::read(&source, key, node)).into_iter().collect()
            }
        };
        let on = root.entry("on").map(|(key, value)| Triggers::read(key, value)).unwrap_or_default();
        let env = root.get("env").map(texts).unwrap_or_default();
        Ok(Self { name: root.get("name").and_then(Text::read), source, kind, dialect, on, env, jobs, root, number: 0 })
    }

    /// A job by its key.
    pub fn job(&self, id: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id.value == id)
    }

    /// A variable as a step sees it, by the nearest scope.
    pub fn variable<'a>(&'a self, job: &'a Job, step: Option<&'a Step>, name: &str) -> Option<&'a Text> {
        let scopes = [step.map(|step| &step.env), Some(&job.env), Some(&self.env)];
        scopes.into_iter().flatten().flatten().find(|(key, _)| key.value == name).map(|(_, value)| value)
    }

    /// Whether it hands something out: a release or tag workflow.
    pub fn releases(&self) -> bool {
        self.on.only_releases()
    }

    /// Whether it is a workflow (and no composite action) that itself is started.
    pub fn started(&self) -> bool {
        self.kind == FileKind::Workflow && !self.on.only_called()
    }
}

/// Whether a path names a composite action's file.
pub(crate) fn is_action(source: &Source) -> bool {
    let name = source.path.rsplit('/').next().unwrap_or_default();
    matches!(name, "action.yml" | "action.yaml")
}
