//! A whole workflow or composite action.

use super::super::dialect::Dialect;
use super::super::source::{SharedSource, SourceFile};
use super::super::yaml::{YamlError, YamlNode, parse_document};
use super::job::WorkflowJob;
use super::step::WorkflowStep;
use super::text::{SpannedText, spanned_entries};
use super::triggers::WorkflowTriggers;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkflowFileKind {
    /// A workflow.
    Workflow,
    /// A composite action (`action.yml`): one job's steps.
    CompositeAction,
}

/// A workflow or a composite action, read.
#[derive(Clone, Debug)]
pub struct Workflow {
    /// Its file.
    pub source: SharedSource,
    /// What it is.
    pub kind: WorkflowFileKind,
    /// Which forge reads it.
    pub dialect: Dialect,
    /// Its `name`.
    pub name: Option<SpannedText>,
    /// What starts it.
    pub triggers: WorkflowTriggers,
    /// Its `env`.
    pub env: Vec<(SpannedText, SpannedText)>,
    /// Its jobs, in the file's order.
    pub jobs: Vec<WorkflowJob>,
    /// The whole tree.
    pub root: YamlNode,
    /// Its place among the project's workflows.
    pub index: usize,
}

impl Workflow {
    /// Reads a file's text.
    pub(crate) fn parse(source: SharedSource, kind: WorkflowFileKind, dialect: Dialect) -> Result<Self, YamlError> {
        let root = parse_document(&source.text)?;
        let jobs = match kind {
            WorkflowFileKind::Workflow => {
                let jobs = root.get("jobs").map(YamlNode::entries).unwrap_or_default();
                jobs.iter().filter_map(|(key, node)| WorkflowJob::from_node(&source, key, node)).collect()
            }
            WorkflowFileKind::CompositeAction => {
                let runs = root.get_entry("runs").filter(|(_, runs)| runs.get("steps").is_some());
                runs.and_then(|(key, node)| WorkflowJob::from_node(&source, key, node)).into_iter().collect()
            }
        };
        let on = root.get_entry("on").map(|(key, value)| WorkflowTriggers::from_node(key, value)).unwrap_or_default();
        let env = root.get("env").map(spanned_entries).unwrap_or_default();
        Ok(Self {
            name: root.get("name").and_then(SpannedText::from_node),
            source,
            kind,
            dialect,
            triggers: on,
            env,
            jobs,
            root,
            index: 0,
        })
    }

    /// A job by its key.
    pub(crate) fn find_job(&self, id: &str) -> Option<&WorkflowJob> {
        self.jobs.iter().find(|job| job.id.value == id)
    }

    /// A variable as a step sees it, by the nearest scope.
    pub(crate) fn resolve_variable<'a>(
        &'a self,
        job: &'a WorkflowJob,
        step: Option<&'a WorkflowStep>,
        name: &str,
    ) -> Option<&'a SpannedText> {
        let scopes = [step.map(|step| &step.env), Some(&job.env), Some(&self.env)];
        scopes.into_iter().flatten().flatten().find(|(key, _)| key.value == name).map(|(_, value)| value)
    }

    /// Whether it hands something out: a release or tag workflow.
    pub(crate) fn is_release_workflow(&self) -> bool {
        self.triggers.is_release_only()
    }

    /// Whether it is a workflow (and no composite action) that itself is started.
    pub(crate) fn is_directly_triggered(&self) -> bool {
        self.kind == WorkflowFileKind::Workflow && !self.triggers.is_reusable_only()
    }
}

/// Whether a path names a composite action's file.
pub(crate) fn is_action_file(source: &SourceFile) -> bool {
    let name = source.path.rsplit('/').next().unwrap_or_default();
    matches!(name, "action.yml" | "action.yaml")
}
