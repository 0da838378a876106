//! Workflow file or composite action.

use super::super::forge::Forge;
use super::super::shell::parse_nox_call;
use super::super::source::{SharedSource, SourceFile, UnreadReason};
use super::super::yaml::{YamlError, YamlNode, parse_document};
use super::expression::ExpressionNames;
use super::job::{WorkflowJob, default_shell};
use super::needs_graph::NeedsGraph;
use super::step::WorkflowStep;
use super::text::{SpannedText, spanned_entries};
use super::triggers::WorkflowTriggers;

/// Most jobs of a workflow that are read: rules compare jobs with each other.
const MAX_JOBS: usize = 500;

/// Most commands of a job that are read: rules compare commands with each other.
pub(crate) const MAX_JOB_COMMANDS: usize = 2_000;
/// Most calls of nox in a job that are read.
pub(crate) const MAX_JOB_CALLS: usize = 500;
/// Most words of the commands of a job that are read, as many as those of a command.
const MAX_JOB_WORDS: usize = 10_000;
/// Most words of all commands of a workflow that are read.
const MAX_WORDS: usize = 100_000;

/// Kind of a workflow file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkflowFileKind {
    /// A workflow.
    Workflow,
    /// A composite action (`action.yml`), read as one job.
    CompositeAction,
}

/// A parsed workflow or composite action.
#[derive(Clone, Debug)]
pub struct Workflow {
    /// The file.
    pub source: SharedSource,
    /// Workflow or composite action.
    pub kind: WorkflowFileKind,
    /// Forge that it is written for.
    pub forge: Forge,
    /// Value of `name`.
    pub name: Option<SpannedText>,
    /// Events that start it.
    pub triggers: WorkflowTriggers,
    /// Entries of `env`.
    pub env: Vec<(SpannedText, SpannedText)>,
    /// Jobs, in the order of the file.
    pub jobs: Vec<WorkflowJob>,
    /// Which jobs need which.
    pub(crate) needs_graph: NeedsGraph,
    /// Root of the YAML document.
    pub root: YamlNode,
    /// Index among the workflows of the project.
    pub index: usize,
}

impl Workflow {
    /// Parses a file.
    pub(crate) fn parse(source: SharedSource, kind: WorkflowFileKind, forge: Forge) -> Result<Self, YamlError> {
        match source.unread {
            Some(UnreadReason::LeadsOutside) => return Err(YamlError::LeadsOutside),
            Some(UnreadReason::BeyondLimit(limit, what)) => return Err(YamlError::BeyondProjectLimit(limit, what)),
            None => {}
        }
        let mut root = parse_document(&source.text)?;
        let names = ExpressionNames::from_jobs(&root);
        names.normalize_node(&mut root, None);
        let shell = default_shell(&root);
        let jobs: Vec<WorkflowJob> = match kind {
            WorkflowFileKind::Workflow => {
                let jobs = root.get("jobs").map(YamlNode::entries).unwrap_or_default();
                if let Some((key, _)) = jobs.get(MAX_JOBS) {
                    return Err(YamlError::TooManyJobs(MAX_JOBS, key.span.start));
                }
                jobs.iter()
                    .filter_map(|(key, node)| WorkflowJob::from_node(&source, key, node, &names, shell))
                    .collect()
            }
            WorkflowFileKind::CompositeAction => {
                let runs = root.get_entry("runs").filter(|(_, runs)| runs.get("steps").is_some());
                runs.and_then(|(key, node)| WorkflowJob::from_node(&source, key, node, &names, shell))
                    .into_iter()
                    .collect()
            }
        };
        check_commands(&jobs)?;
        let on = root.get_entry("on").map(|(key, value)| WorkflowTriggers::from_node(key, value)).unwrap_or_default();
        let env = root.get("env").map(spanned_entries).unwrap_or_default();
        Ok(Self {
            needs_graph: NeedsGraph::new(&jobs),
            name: root.get("name").and_then(SpannedText::from_node),
            source,
            kind,
            forge,
            triggers: on,
            env,
            jobs,
            root,
            index: 0,
        })
    }

    /// Finds a job by its key.
    pub(crate) fn find_job(&self, id: &str) -> Option<&WorkflowJob> {
        self.jobs.get(self.needs_graph.position(id)?)
    }

    /// Returns the value of an environment variable in a step or job, from the innermost scope.
    pub(crate) fn resolve_variable<'a>(
        &'a self,
        job: &'a WorkflowJob,
        step: Option<&'a WorkflowStep>,
        name: &str,
    ) -> Option<&'a SpannedText> {
        let scopes = [step.map(|step| &step.env), Some(&job.env), Some(&self.env)];
        scopes.into_iter().flatten().flatten().find(|(key, _)| key.value == name).map(|(_, value)| value)
    }

    /// Whether it runs only for releases or tags.
    pub(crate) fn is_release_workflow(&self) -> bool {
        self.triggers.is_release_only()
    }

    /// Whether events start it directly: it is neither a composite action nor only reusable.
    pub(crate) fn is_directly_triggered(&self) -> bool {
        self.kind == WorkflowFileKind::Workflow && !self.triggers.is_reusable_only()
    }
}

/// Checks the limits on commands and their words.
fn check_commands(jobs: &[WorkflowJob]) -> Result<(), YamlError> {
    let mut all_words = 0;
    for job in jobs {
        let commands = || job.steps.iter().flat_map(|step| &step.commands);
        let words = commands().map(|command| command.words.len() + command.assignments.len()).sum::<usize>();
        all_words += words;
        let (limit, unit, of) = if commands().count() > MAX_JOB_COMMANDS {
            (MAX_JOB_COMMANDS, "commands", "a job")
        } else if commands().filter(|command| parse_nox_call(command).is_some()).count() > MAX_JOB_CALLS {
            (MAX_JOB_CALLS, "calls of nox", "a job")
        } else if words > MAX_JOB_WORDS {
            (MAX_JOB_WORDS, "words in its commands", "a job")
        } else if all_words > MAX_WORDS {
            (MAX_WORDS, "words in its commands", "the workflow")
        } else {
            continue;
        };
        return Err(YamlError::TooManyCommands(format!("{of} has more than {limit} {unit}"), job.id.span.start));
    }
    Ok(())
}

/// Whether the file is a composite action: in a directory of workflows, `action.yml` is a workflow.
pub(crate) fn is_action_file(source: &SourceFile) -> bool {
    let mut parts = source.path.rsplit('/');
    let (name, directory) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    matches!(name, "action.yml" | "action.yaml") && directory != "workflows"
}
