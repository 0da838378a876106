//! Audited project: its workflows, noxfile and files, with the analysis of each job that all rules share.

use std::cell::Cell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::expanded_script::{ExpandedScript, expand_script, input_values};
use super::forge::Forge;
use super::job_cache::{JobCache, find_job_caches};
use super::noxfile::{Noxfile, NoxfileSession};
use super::options::AuditOptions;
use super::project_files::{
    DiscoverError, ProjectFiles, find_project_files, find_workflow_sources, is_inside, list_file_paths,
};
use super::session_variable::SessionVariable;
use super::shell::{
    NetworkFetch, NoxCall, NoxCallSelection, PackageInstall, ShellCommand, find_network_fetches, parse_install,
    parse_nox_call,
};
use super::source::{SharedSource, Span};
use super::workflow::{MAX_JOB_CALLS, Workflow, WorkflowFileKind, WorkflowJob, WorkflowStep, is_action_file};
use super::workflow_totals::WorkflowTotals;
use super::yaml::YamlError;
use crate::fs::read_project_text;
use crate::project::NoxfileManifest;

/// Most sessions of a call whose names are known; values of a matrix multiply them.
const MAX_CALL_SESSIONS: usize = 2_000;
/// Most sessions of all calls in a project whose names are known.
const MAX_SESSIONS: usize = 200_000;

/// Everything that an audit reads.
#[derive(Debug)]
pub struct AuditProject {
    /// Root directory.
    pub root: PathBuf,
    /// Workflows and composite actions, sorted by path.
    pub workflows: Vec<Workflow>,
    /// Files that are not valid YAML.
    pub parse_failures: Vec<(SharedSource, YamlError)>,
    /// The noxfile, if it can be read.
    pub noxfile: Option<Noxfile>,
    /// Facts about other files of the project.
    pub files: ProjectFiles,
    /// Options of the audit.
    pub options: AuditOptions,
    job_analyses: Vec<Vec<JobAnalysis>>,
    pyproject: OnceLock<Option<toml::Table>>,
}

/// Calls, installs, caches and downloads of a job, which rules inspect.
#[derive(Clone, Debug, Default)]
pub struct JobAnalysis {
    /// Calls of nox and `noxide run`.
    pub(crate) nox_calls: Vec<JobNoxCall>,
    /// Names of all sessions that the calls run, in order, without duplicates.
    pub(crate) session_names: Vec<String>,
    /// Commands that install Python packages.
    pub(crate) installs: Vec<JobInstall>,
    pub(crate) caches: Vec<JobCache>,
    /// Downloads other than Python packages: step index, download, span.
    pub(crate) network_fetches: Vec<(usize, NetworkFetch, Span)>,
}

/// A call of nox in a step.
#[derive(Clone, Debug)]
pub struct JobNoxCall {
    /// Index of the step.
    pub step_index: usize,
    /// Index of the command within the step.
    pub command_index: usize,
    /// The parsed call.
    pub parsed: NoxCall,
    /// Sessions it runs, each with its span in the file.
    pub sessions: Vec<(String, Span)>,
    /// Whether an expression selects the sessions, so that they may differ between runs or jobs of the matrix.
    pub(crate) is_selected_by_expression: bool,
    /// The call in some jobs of the matrix, if it is known only with their values.
    pub(crate) alternative: Option<MatrixAlternative>,
    /// Span of the command in the file.
    pub span: Span,
}

impl JobNoxCall {
    /// Whether a command of a step makes the call, in every job of the matrix or in some of them.
    pub(crate) fn is_made_by(&self, step: &WorkflowStep, command_index: usize, command: &ShellCommand) -> bool {
        let is_alternative = self.alternative.as_ref().is_some_and(|alternative| alternative.command == *command);
        self.step_index == step.index && (self.command_index == command_index || is_alternative)
    }
}

/// A call of nox that only some jobs of the matrix make: the matrix provides the command, words of it or `NOXSESSION`.
#[derive(Clone, Debug)]
pub(crate) struct MatrixAlternative {
    /// Which expansion of the script it belongs to: the same for all calls that one job of the matrix makes in the step.
    pub(crate) text_index: usize,
    /// The command with the values of the matrix.
    pub(crate) command: ShellCommand,
}

/// Stands for the index of a command that is not in the file, in a call that only some jobs of the matrix make: the command,
/// words of it or `NOXSESSION` come from the matrix. No step has so many commands.
const PROVIDED_COMMAND: usize = usize::MAX / 2;

/// A package install in a step.
#[derive(Clone, Debug)]
pub struct JobInstall {
    /// Index of the step.
    pub step_index: usize,
    /// The parsed install command.
    pub install: PackageInstall,
    /// Span of the command in the file.
    pub span: Span,
}

/// A job with its project, workflow and analysis.
#[derive(Clone, Copy, Debug)]
pub struct JobView<'a> {
    /// Project that contains the job.
    pub project: &'a AuditProject,
    /// Workflow that contains the job.
    pub workflow: &'a Workflow,
    /// The job as written.
    pub job: &'a WorkflowJob,
    /// Analysis of its steps.
    pub analysis: &'a JobAnalysis,
}

impl AuditProject {
    /// Reads and analyzes a project; without `paths`, all its workflows and composite actions.
    pub fn load(
        root: &Path,
        paths: &[PathBuf],
        manifest: Option<&NoxfileManifest>,
        options: AuditOptions,
    ) -> Result<Self, DiscoverError> {
        let sources = find_workflow_sources(root, paths)?;
        let mut files = find_project_files(root);
        if sources.iter().any(|source| source.text.contains("cache-dependency-glob")) {
            files.paths = list_file_paths(root);
        }
        // Findings print lines, so a noxfile that is a link out of the project is not read.
        let name = files.noxfile_name.as_deref().filter(|name| is_inside(&root.join(name), root));
        let noxfile = name.and_then(|name| Noxfile::read(root, name));
        let noxfile = noxfile.map(|noxfile| match manifest {
            Some(manifest) => noxfile.with_manifest(manifest),
            None => noxfile,
        });
        Ok(Self::from_sources(root, sources, noxfile, files, options))
    }

    /// Whether a module, such as `package.cli`, is in the project's directory or in `src`.
    pub(crate) fn has_module(&self, module: &str) -> bool {
        let name = module.split('.').next().unwrap_or_default();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        let is_in =
            |directory: &Path| directory.join(name).is_dir() || directory.join(name).with_extension("py").is_file();
        is_name && (is_in(&self.root) || is_in(&self.root.join("src")))
    }

    /// Analyzes sources that are already read.
    pub fn from_sources(
        root: &Path,
        sources: Vec<SharedSource>,
        noxfile: Option<Noxfile>,
        files: ProjectFiles,
        options: AuditOptions,
    ) -> Self {
        let mut project = Self {
            root: root.to_owned(),
            workflows: Vec::new(),
            parse_failures: Vec::new(),
            noxfile,
            files,
            options,
            job_analyses: Vec::new(),
            pyproject: OnceLock::new(),
        };
        let mut totals = WorkflowTotals::default();
        for source in sources {
            let kind =
                if is_action_file(&source) { WorkflowFileKind::CompositeAction } else { WorkflowFileKind::Workflow };
            let forge = project.options.forge.or_else(|| Forge::from_path(&source.path));
            match totals.parse(source.clone(), kind, forge.unwrap_or(Forge::Github)) {
                Ok(workflow) => project.workflows.push(Workflow { index: project.workflows.len(), ..workflow }),
                Err(error) => project.parse_failures.push((source, error)),
            }
        }
        let budget = Cell::new(MAX_SESSIONS);
        project.job_analyses = project
            .workflows
            .iter()
            .map(|workflow| workflow.jobs.iter().map(|job| project.analyze_job(workflow, job, &budget)).collect())
            .collect();
        project
    }

    /// Analyzes a job; `budget` is the number of further sessions whose names are stored. Those of calls beyond are unknown.
    fn analyze_job(&self, workflow: &Workflow, job: &WorkflowJob, budget: &Cell<usize>) -> JobAnalysis {
        let mut analysis =
            JobAnalysis { caches: find_job_caches(&self.workflows, workflow, job), ..JobAnalysis::default() };
        for step in &job.steps {
            let expanded = expand_script(job, step);
            let is_provided = !expanded.is_empty();
            let is_exported = SessionVariable::is_exported(&step.commands);
            for (index, command) in step.commands.iter().enumerate() {
                if let Some(install) = parse_install(command) {
                    analysis.installs.push(JobInstall {
                        step_index: step.index,
                        span: step.file_span(install.span),
                        install,
                    });
                }
                let fetches = find_network_fetches(command).into_iter().map(|fetch| {
                    let span = step.file_span(fetch.span);
                    (step.index, fetch, span)
                });
                analysis.network_fetches.extend(fetches);
                if let Some(nox) = parse_nox_call(command).filter(|call| self.runs_sessions(call)) {
                    if is_provided {
                        continue;
                    }
                    let listed = self.listed_calls(workflow, job, step, index, &nox);
                    if !listed.is_empty() && analysis.nox_calls.len() + listed.len() <= MAX_JOB_CALLS {
                        analysis.nox_calls.extend(listed);
                        continue;
                    }
                    let before = step.commands.get(..index).filter(|_| is_exported).unwrap_or_default();
                    let variable = SessionVariable::find(workflow, job, step, before, command);
                    let sessions = self.resolve_sessions(workflow, job, step, (command, &variable), &nox);
                    let sessions = take_sessions(sessions, budget);
                    analysis.nox_calls.push(JobNoxCall {
                        is_selected_by_expression: is_selected_by_expression(command, &variable, &nox),
                        alternative: None,
                        step_index: step.index,
                        command_index: index,
                        parsed: nox,
                        sessions,
                        span: step.file_span(command.span),
                    });
                }
            }
            analysis.nox_calls.extend(self.provided_calls(workflow, job, step, expanded, budget));
            analysis.nox_calls.truncate(MAX_JOB_CALLS);
        }
        let mut seen = HashSet::new();
        let names = analysis.nox_calls.iter().flat_map(|call| &call.sessions).map(|(name, _)| name);
        analysis.session_names = names.filter(|name| seen.insert(name.as_str())).cloned().collect();
        analysis
    }

    /// Whether a call runs sessions: it does not only list them, and a noxfile that is started as a program calls nox.
    fn runs_sessions(&self, call: &NoxCall) -> bool {
        let calls_nox = || self.noxfile.as_ref().is_some_and(|noxfile| noxfile.source.text.contains("nox.main("));
        call.selection != NoxCallSelection::Nothing && (!call.runs_noxfile || calls_nox())
    }

    /// Returns the calls of nox whose commands the matrix provides.
    fn provided_calls(
        &self,
        workflow: &Workflow,
        job: &WorkflowJob,
        step: &WorkflowStep,
        expanded: Vec<ExpandedScript>,
        budget: &Cell<usize>,
    ) -> Vec<JobNoxCall> {
        // Positions in the expanded text do not exist in the file: the span of the script stands for them.
        let script_span = step.script.as_ref().map_or(Span::default(), |script| Span::new(0, script.text.len()));
        let mut calls = Vec::new();
        for (text_index, script) in expanded.into_iter().enumerate() {
            for (index, command) in script.commands.iter().enumerate() {
                let Some(mut parsed) = parse_nox_call(command) else { continue };
                if !self.runs_sessions(&parsed) {
                    continue;
                }
                parsed.program_span = script_span;
                let before = script.commands.get(..index).unwrap_or_default();
                let variable = SessionVariable::find(workflow, job, step, before, command);
                let sessions = self.resolve_sessions(workflow, job, step, (command, &variable), &parsed);
                let sessions = take_sessions(sessions, budget);
                calls.push(JobNoxCall {
                    step_index: step.index,
                    command_index: PROVIDED_COMMAND,
                    sessions: sessions.into_iter().map(|(name, _)| (name, script.span)).collect(),
                    parsed,
                    is_selected_by_expression: true,
                    alternative: Some(MatrixAlternative { text_index, command: command.clone() }),
                    span: script.span,
                });
            }
        }
        calls
    }

    /// Returns one call for each value of an axis of the matrix, if `NOXSESSION` is set to that axis and a value lists several
    /// sessions; otherwise none.
    fn listed_calls(
        &self,
        workflow: &Workflow,
        job: &WorkflowJob,
        step: &WorkflowStep,
        command_index: usize,
        call: &NoxCall,
    ) -> Vec<JobNoxCall> {
        let find_calls = || {
            let command = step.commands.get(command_index).filter(|_| call.selection == NoxCallSelection::Default)?;
            let variable = workflow.resolve_variable(job, Some(step), "NOXSESSION")?;
            let axis = variable.value.trim().strip_prefix("${{")?.strip_suffix("}}")?.trim().strip_prefix("matrix.")?;
            let values = job.matrix.as_ref()?.axis_values(axis);
            values.iter().any(|value| value.contains(',')).then_some(())?;
            let calls = values.iter().enumerate().map(|(text_index, value)| {
                let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
                JobNoxCall {
                    step_index: step.index,
                    command_index: PROVIDED_COMMAND,
                    sessions: names.map(|name| (name.to_owned(), variable.span)).collect(),
                    parsed: call.clone(),
                    is_selected_by_expression: true,
                    alternative: Some(MatrixAlternative { text_index, command: command.clone() }),
                    span: step.file_span(command.span),
                }
            });
            (values.len() <= MAX_JOB_CALLS).then(|| calls.collect())
        };
        find_calls().unwrap_or_default()
    }

    /// Returns the names of the sessions that a call runs, each with the span that selects it.
    fn resolve_sessions(
        &self,
        workflow: &Workflow,
        job: &WorkflowJob,
        step: &WorkflowStep,
        (command, variable): (&ShellCommand, &SessionVariable),
        call: &NoxCall,
    ) -> Vec<(String, Span)> {
        let command_span = step.file_span(command.span);
        let at_command =
            |names: Vec<String>| names.into_iter().map(|name| (name, command_span)).collect::<Vec<(String, Span)>>();
        let to_names = |sessions: Vec<&NoxfileSession>| {
            let sessions = sessions.into_iter().take(MAX_CALL_SESSIONS + 1);
            at_command(sessions.map(|session| session.name.clone()).collect())
        };
        match &call.selection {
            NoxCallSelection::Names(words) => {
                let expand = |word: &super::shell::ShellWord| {
                    let span = step.file_span(word.span);
                    self.expand_names(workflow, job, &word.text).into_iter().map(move |name| (name, span))
                };
                words.iter().flat_map(expand).take(MAX_CALL_SESSIONS + 1).collect()
            }
            NoxCallSelection::Tags(tags) => {
                let tagged = |session: &&NoxfileSession| session.tags.iter().any(|tag| tags.contains(tag));
                to_names(self.noxfile.iter().flat_map(Noxfile::sessions).filter(tagged).collect())
            }
            NoxCallSelection::Keywords(words) => {
                let known = self.noxfile.iter().flat_map(Noxfile::sessions);
                to_names(known.filter(|session| session.name.contains(words.trim())).collect())
            }
            NoxCallSelection::Default => match variable {
                SessionVariable::Value(value) => {
                    let names = value.split(',').flat_map(|name| self.expand_names(workflow, job, name.trim()));
                    at_command(names.take(MAX_CALL_SESSIONS + 1).collect())
                }
                SessionVariable::Unset => to_names(self.noxfile.iter().flat_map(Noxfile::default_sessions).collect()),
                SessionVariable::Unknown => Vec::new(),
            },
            NoxCallSelection::Nothing | NoxCallSelection::Unknown => Vec::new(),
        }
    }

    /// Replaces the first `${{ matrix.x }}` or `${{ inputs.x }}` in a name by each literal value of `x`.
    fn expand_names(&self, workflow: &Workflow, job: &WorkflowJob, name: &str) -> Vec<String> {
        let unchanged = || vec![name.to_owned()];
        let Some((before, rest)) = name.split_once("${{") else { return unchanged() };
        let Some((inside, after)) = rest.split_once("}}") else { return unchanged() };
        let values = match inside.trim().split_once('.') {
            Some(("matrix", axis)) => {
                job.matrix.as_ref().map_or(Vec::new(), |matrix| matrix.axis_values(axis).to_vec())
            }
            Some(("inputs", input)) => input_values(&self.workflows, workflow, input).unwrap_or_default(),
            _ => Vec::new(),
        };
        if values.is_empty() {
            return unchanged();
        }
        values.iter().map(|value| format!("{before}{value}{after}")).collect()
    }

    /// Returns the project with some files replaced by new versions.
    #[must_use]
    pub(crate) fn with_sources(&self, new: &[SharedSource]) -> Self {
        let all = self
            .workflows
            .iter()
            .map(|workflow| &workflow.source)
            .chain(self.parse_failures.iter().map(|(source, _)| source));
        let replaced = |source: &SharedSource| new.iter().find(|new| new.path == source.path).unwrap_or(source).clone();
        let sources = all.map(replaced).collect();
        let noxfile = self.noxfile.as_ref().map(|noxfile| {
            let other = new.iter().find(|new| new.path == noxfile.source.path && **new != noxfile.source);
            other.and_then(|new| noxfile.reparse(new)).unwrap_or_else(|| noxfile.clone())
        });
        Self::from_sources(&self.root, sources, noxfile, self.files.clone(), self.options.clone())
    }

    /// Returns the project's `pyproject.toml`, which is read once.
    pub(super) fn pyproject(&self) -> Option<&toml::Table> {
        let read = || read_project_text(&self.root.join("pyproject.toml")).ok()?.parse().ok();
        self.pyproject.get_or_init(read).as_ref()
    }

    /// Whether a step uses a local action that was not read.
    pub(crate) fn is_local_action_missing(&self, step: &WorkflowStep) -> bool {
        let directory = step.action.as_ref().and_then(|action| action.local_directory());
        directory.is_some_and(|directory| find_local_action(self, directory).is_none())
    }

    /// Returns all jobs of the project.
    pub(crate) fn job_views(&self) -> impl Iterator<Item = JobView<'_>> {
        self.workflows.iter().zip(&self.job_analyses).flat_map(move |(workflow, analyses)| {
            workflow.jobs.iter().zip(analyses).map(move |(job, analysis)| JobView {
                project: self,
                workflow,
                job,
                analysis,
            })
        })
    }

    /// Returns whether a workflow runs nox itself, not noxide.
    pub(crate) fn has_nox_calls(&self) -> bool {
        self.job_views().any(|view| view.analysis.nox_calls.iter().any(|call| !call.parsed.is_noxide))
    }

    /// Returns the jobs of one workflow.
    pub(crate) fn workflow_job_views<'a>(&'a self, workflow: &'a Workflow) -> impl Iterator<Item = JobView<'a>> {
        let analyses = self.job_analyses.get(workflow.index).into_iter().flatten();
        workflow.jobs.iter().zip(analyses).map(move |(job, analysis)| JobView {
            project: self,
            workflow,
            job,
            analysis,
        })
    }
}

/// Returns the sessions of a call, or none if they are too many.
fn take_sessions(sessions: Vec<(String, Span)>, budget: &Cell<usize>) -> Vec<(String, Span)> {
    match budget.get().checked_sub(sessions.len()).filter(|_| sessions.len() <= MAX_CALL_SESSIONS) {
        Some(rest) => {
            budget.set(rest);
            sessions
        }
        None => Vec::new(),
    }
}

/// Finds the composite action in a directory of the project.
pub(crate) fn find_local_action<'a>(project: &'a AuditProject, directory: &str) -> Option<&'a Workflow> {
    let is_inside = |path: &str| path.rsplit_once('/').map_or("", |(parent, _)| parent) == directory;
    let mut actions = project.workflows.iter().filter(|other| other.kind == WorkflowFileKind::CompositeAction);
    actions.find(|other| is_inside(&other.source.path))
}

/// Whether the sessions of a call depend on an expression: in the command, or in `NOXSESSION`.
fn is_selected_by_expression(command: &ShellCommand, variable: &SessionVariable, call: &NoxCall) -> bool {
    let in_command = command.words.iter().take_while(|word| word.text != "--").any(|word| word.text.contains("${{"));
    let in_variable = match variable {
        SessionVariable::Unset => false,
        SessionVariable::Value(value) => value.contains('$'),
        SessionVariable::Unknown => true,
    };
    in_command || (call.selection == NoxCallSelection::Default && in_variable)
}

impl<'a> JobView<'a> {
    /// Returns the step at an index.
    pub(crate) fn step(&self, index: usize) -> Option<&'a WorkflowStep> {
        self.job.steps.get(index)
    }

    /// Returns the workflow file.
    pub fn source(&self) -> &'a SharedSource {
        &self.workflow.source
    }

    /// Returns the names of all sessions that the job runs, in order, without duplicates.
    pub(crate) fn session_names(&self) -> &'a [String] {
        &self.analysis.session_names
    }

    /// Returns the noxfile's session of this name.
    pub(crate) fn noxfile_session(&self, name: &str) -> Option<&'a NoxfileSession> {
        self.project.noxfile.as_ref()?.find_session(name)
    }

    /// Whether the job installs Python packages, directly or through nox.
    pub(crate) fn has_python_installs(&self) -> bool {
        !self.analysis.installs.is_empty() || !self.analysis.nox_calls.is_empty()
    }

    /// Returns the requirements that the job installs, sorted; `None` if a session is not in the noxfile.
    pub(crate) fn installed_packages(&self) -> Option<Vec<String>> {
        let mut all = Vec::new();
        for name in self.session_names() {
            all.extend(self.noxfile_session(name)?.installed_packages());
        }
        for job_install in &self.analysis.installs {
            let named = job_install.install.packages.iter().map(|word| word.text.clone());
            all.extend(named.filter(|word| !word.contains("nox") && !word.starts_with("uv")));
            all.extend(job_install.install.requirement_files.iter().map(|file| format!("-r {file}")));
        }
        all.sort();
        all.dedup();
        Some(all)
    }

    /// Returns the matrix expression that selects the session, if each job of the matrix runs one session.
    pub(crate) fn matrix_session_expression(&self) -> Option<String> {
        let [call] = self.analysis.nox_calls.as_slice() else { return None };
        let step = self.step(call.step_index)?;
        let written = match &call.parsed.selection {
            NoxCallSelection::Names(words) => words.first().filter(|_| words.len() == 1).map(|word| word.text.as_str()),
            NoxCallSelection::Default => {
                self.workflow.resolve_variable(self.job, Some(step), "NOXSESSION").map(|text| text.value.as_str())
            }
            _ => None,
        };
        let name = written?.trim();
        let axis = name.strip_prefix("${{")?.strip_suffix("}}")?.trim().strip_prefix("matrix.")?;
        (self.job.matrix.as_ref()?.axis_values(axis).len() > 1).then(|| format!("${{{{ matrix.{axis} }}}}"))
    }

    /// Whether the job publishes what it builds, so that it must not use a cache.
    pub(crate) fn is_release(&self) -> bool {
        self.workflow.is_release_workflow() || self.job.is_release_job()
    }

    /// Returns why the sessions of the job must run in order, or `None` if they need not.
    #[must_use]
    pub(crate) fn required_order_reason(&self) -> Option<String> {
        for name in self.session_names() {
            let Some(session) = self.noxfile_session(name) else { continue };
            for run in session.run_calls() {
                let line = run.args.join(" ");
                if line.contains("--cov-append") || (line.contains("coverage") && line.contains("--append")) {
                    return Some(format!("`{name}` appends to the coverage data of an earlier session"));
                }
                if run.args.first().is_some_and(|word| word == "git")
                    && ["commit", "tag", "push", "add"].iter().any(|verb| run.args.iter().any(|word| word == verb))
                {
                    return Some(format!("`{name}` writes to the repository"));
                }
            }
        }
        let step_range = self.analysis.nox_calls.first()?.step_index..=self.analysis.nox_calls.last()?.step_index;
        let has_condition = |step: &&WorkflowStep| step_range.contains(&step.index) && !step.runs_on_success();
        let runs_sessions =
            |step: &&WorkflowStep| self.analysis.nox_calls.iter().any(|call| call.step_index == step.index);
        let is_one_step = step_range.start() == step_range.end();
        let conditional = self.job.steps.iter().filter(|_| !is_one_step).filter(runs_sessions).find(has_condition);
        if let Some(step) = conditional {
            return Some(format!("step `{}` has its own condition", step.display_name()));
        }
        let sets_variables = self.job.steps.iter().filter(|step| step_range.contains(&step.index)).any(|step| {
            step.script.as_ref().is_some_and(|script| {
                script.text.contains("_ENV\"") || script.text.contains("_ENV ") || script.text.ends_with("_ENV")
            })
        });
        sets_variables.then(|| "a step between the sessions sets environment variables".to_owned())
    }

    /// Whether the job does not run on a GitHub-hosted runner. On GitHub this is false for a job without `runs-on`, such as
    /// that of a composite action; on other forges it is always true.
    pub(crate) fn is_self_hosted(&self) -> bool {
        let is_unknown = self.job.runs_on.is_empty() && self.job.node.get("runs-on").is_none();
        self.workflow.forge != Forge::Github || (!is_unknown && !self.job.is_github_hosted())
    }
}
