//! A project surveyed: each job's nox calls, installations, caches and downloads, worked out once for all rules.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::cache::{Cache, caches};
use super::dialect::Dialect;
use super::discover::{DiscoverError, Files, files, sources};
use super::noxfile::{Noxfile, SessionFacts};
use super::options::AuditOptions;
use super::shell::{Fetch, Install, NoxCall, Selection, fetches, install, nox_call};
use super::span::{SharedSource, Span};
use super::workflow::{FileKind, Job, Step, Workflow, is_action};
use super::yaml::YamlError;
use crate::project::Manifest;

/// All that an audit looks at.
#[derive(Debug)]
pub struct Project {
    /// Its folder.
    pub root: PathBuf,
    /// Its workflows and composite actions, by path.
    pub workflows: Vec<Workflow>,
    /// Files that cannot be read.
    pub broken: Vec<(SharedSource, YamlError)>,
    /// Its noxfile.
    pub noxfile: Option<Noxfile>,
    /// What lies beside.
    pub files: Files,
    /// The caller's choices.
    pub options: AuditOptions,
    surveys: Vec<Vec<Survey>>,
}

/// What one job does, as far as rules ask.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Its calls of nox.
    pub calls: Vec<Call>,
    /// The names of all its sessions, each once, in order.
    pub names: Vec<String>,
    /// Its installations of Python packages.
    pub installs: Vec<Installed>,
    /// Its caches.
    pub caches: Vec<Cache>,
    /// What it downloads beside packages: step, what, place.
    pub fetches: Vec<(usize, Fetch, Span)>,
}

/// A call of nox in a step.
#[derive(Clone, Debug)]
pub struct Call {
    /// The step's index.
    pub step: usize,
    /// The command's index in it.
    pub command: usize,
    /// The call itself.
    pub nox: NoxCall,
    /// The sessions it runs, each with its place in the file.
    pub sessions: Vec<(String, Span)>,
    /// Place of the whole command in the file.
    pub place: Span,
}

/// An installation in a step.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The step's index.
    pub step: usize,
    /// The installation.
    pub install: Install,
    /// Its place in the file.
    pub place: Span,
}

/// A job with its workflow and survey.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The project.
    pub project: &'a Project,
    /// The workflow.
    pub workflow: &'a Workflow,
    /// The job.
    pub job: &'a Job,
    /// What it does.
    pub survey: &'a Survey,
}

impl Project {
    /// Reads and surveys a project.
    pub fn read(
        root: &Path,
        paths: &[PathBuf],
        manifest: Option<&Manifest>,
        options: AuditOptions,
    ) -> Result<Self, DiscoverError> {
        let sources = sources(root, paths)?;
        let files = files(root);
        let noxfile = files.noxfile.as_deref().and_then(|name| Noxfile::read(root, name));
        let noxfile = noxfile.map(|noxfile| match manifest {
            Some(manifest) => noxfile.refined(manifest),
            None => noxfile,
        });
        Ok(Self::survey(root, sources, noxfile, files, options))
    }

    /// Surveys sources that are already read.
    pub fn survey(
        root: &Path,
        sources: Vec<SharedSource>,
        noxfile: Option<Noxfile>,
        files: Files,
        options: AuditOptions,
    ) -> Self {
        let mut project = Self {
            root: root.to_owned(),
            workflows: Vec::new(),
            broken: Vec::new(),
            noxfile,
            files,
            options,
            surveys: Vec::new(),
        };
        for source in sources {
            let kind = if is_action(&source) { FileKind::Action } else { FileKind::Workflow };
            let dialect = project.options.dialect.or_else(|| Dialect::of_path(&source.path));
            match Workflow::read(source.clone(), kind, dialect.unwrap_or(Dialect::Github)) {
                Ok(workflow) => project.workflows.push(Workflow { number: project.workflows.len(), ..workflow }),
                Err(error) => project.broken.push((source, error)),
            }
        }
        project.surveys = project
            .workflows
            .iter()
            .map(|workflow| workflow.jobs.iter().map(|job| project.survey_job(workflow, job)).collect())
            .collect();
        project
    }

    fn survey_job(&self, workflow: &Workflow, job: &Job) -> Survey {
        let mut survey = Survey { caches: caches(&self.workflows, workflow, job), ..Survey::default() };
        for step in &job.steps {
            for (index, command) in step.commands.iter().enumerate() {
                if let Some(install) = install(command) {
                    survey.installs.push(Installed { step: step.index, place: step.place(install.span), install });
                }
                let fetched = fetches(command).into_iter().map(|fetch| {
                    let place = step.place(fetch.span);
                    (step.index, fetch, place)
                });
                survey.fetches.extend(fetched);
                if let Some(nox) = nox_call(command).filter(|call| call.selection != Selection::Nothing) {
                    let sessions = self.sessions(workflow, job, step, index, &nox);
                    let place = step.place(command.span);
                    survey.calls.push(Call { step: step.index, command: index, nox, sessions, place });
                }
            }
        }
        let mut seen = HashSet::new();
        let names = survey.calls.iter().flat_map(|call| &call.sessions).map(|(name, _)| name);
        survey.names = names.filter(|name| seen.insert(name.as_str())).cloned().collect();
        survey
    }

    /// The sessions that a call runs, by name, each with the place that says so.
    fn sessions(
        &self,
        workflow: &Workflow,
        job: &Job,
        step: &Step,
        command: usize,
        call: &NoxCall,
    ) -> Vec<(String, Span)> {
        let here = step.commands.get(command).map_or(step.span, |command| step.place(command.span));
        let named = |names: Vec<String>| names.into_iter().map(|name| (name, here)).collect();
        let from =
            |sessions: Vec<&SessionFacts>| named(sessions.into_iter().map(|session| session.name.clone()).collect());
        match &call.selection {
            Selection::Names(words) => {
                let expand = |word: &super::shell::Word| {
                    let place = step.place(word.span);
                    matrix(job, &word.text).into_iter().map(move |name| (name, place))
                };
                words.iter().flat_map(expand).collect()
            }
            Selection::Tags(tags) => {
                let tagged = |session: &&SessionFacts| session.tags.iter().any(|tag| tags.contains(tag));
                from(self.noxfile.iter().flat_map(Noxfile::sessions).filter(tagged).collect())
            }
            Selection::Keywords(words) => {
                let known = self.noxfile.iter().flat_map(Noxfile::sessions);
                from(known.filter(|session| session.name.contains(words.trim())).collect())
            }
            Selection::Default => {
                let assigned = step.commands.get(command).and_then(|command| {
                    command.assigns.iter().find(|(name, _)| name == "NOXSESSION").map(|(_, value)| value.clone())
                });
                let variable = || workflow.variable(job, Some(step), "NOXSESSION").map(|text| text.value.clone());
                match assigned.or_else(variable) {
                    Some(value) => named(value.split(',').flat_map(|name| matrix(job, name.trim())).collect()),
                    None => from(self.noxfile.iter().flat_map(Noxfile::defaults).collect()),
                }
            }
            Selection::Nothing => Vec::new(),
        }
    }

    /// The same project with the texts of some files replaced.
    #[must_use]
    pub fn with(&self, new: &[SharedSource]) -> Self {
        let all =
            self.workflows.iter().map(|workflow| &workflow.source).chain(self.broken.iter().map(|(source, _)| source));
        let replaced = |source: &SharedSource| new.iter().find(|new| new.path == source.path).unwrap_or(source).clone();
        let sources = all.map(replaced).collect();
        let noxfile = self.noxfile.as_ref().map(|noxfile| {
            let other = new.iter().find(|new| new.path == noxfile.source.path && **new != noxfile.source);
            other.and_then(|new| noxfile.reread(new)).unwrap_or_else(|| noxfile.clone())
        });
        Self::survey(&self.root, sources, noxfile, self.files.clone(), self.options.clone())
    }

    /// Whether a step uses an action of the project's own that is not among what was read.
    pub fn lacks_action(&self, step: &Step) -> bool {
        let local = step.uses.as_ref().filter(|_| step.action.as_ref().is_some_and(|action| action.local));
        local.is_some_and(|uses| {
            let folder = uses.value.trim_start_matches("./").trim_end_matches('/');
            let lies = |path: &str| path.rsplit_once('/').map_or("", |(folder, _)| folder) == folder;
            !self.workflows.iter().any(|other| other.kind == FileKind::Action && lies(&other.source.path))
        })
    }

    /// Every job with its survey.
    pub fn jobs(&self) -> impl Iterator<Item = View<'_>> {
        self.workflows.iter().zip(&self.surveys).flat_map(move |(workflow, surveys)| {
            workflow.jobs.iter().zip(surveys).map(move |(job, survey)| View { project: self, workflow, job, survey })
        })
    }

    /// The jobs of one workflow.
    pub fn jobs_of<'a>(&'a self, workflow: &'a Workflow) -> impl Iterator<Item = View<'a>> {
        let surveys = self.surveys.get(workflow.number).into_iter().flatten();
        workflow.jobs.iter().zip(surveys).map(move |(job, survey)| View { project: self, workflow, job, survey })
    }
}

/// A name with `${{ matrix.x }}` replaced by every value written out.
fn matrix(job: &Job, name: &str) -> Vec<String> {
    let Some((before, rest)) = name.split_once("${{") else { return vec![name.to_owned()] };
    let Some((inside, after)) = rest.split_once("}}") else { return vec![name.to_owned()] };
    let axis = inside.trim().strip_prefix("matrix.").unwrap_or_default();
    let values = job.matrix.as_ref().map_or(&[][..], |matrix| matrix.values(axis));
    if values.is_empty() {
        return vec![name.to_owned()];
    }
    values.iter().map(|value| format!("{before}{value}{after}")).collect()
}

impl<'a> View<'a> {
    /// The step of that index.
    pub fn step(&self, index: usize) -> Option<&'a Step> {
        self.job.steps.get(index)
    }

    /// The file.
    pub fn source(&self) -> &'a SharedSource {
        &self.workflow.source
    }

    /// The names of all sessions that the job runs, each once, in order.
    pub fn sessions(&self) -> &'a [String] {
        &self.survey.names
    }

    /// What a session of that name does, as the noxfile says.
    pub fn facts(&self, name: &str) -> Option<&'a SessionFacts> {
        self.project.noxfile.as_ref()?.session(name)
    }

    /// Whether the job installs Python packages, itself or through nox.
    pub fn installs_python(&self) -> bool {
        !self.survey.installs.is_empty() || !self.survey.calls.is_empty()
    }

    /// What the job installs, as one comparable list; nothing where its sessions are not known.
    pub fn install_set(&self) -> Option<Vec<String>> {
        let mut all = Vec::new();
        for name in self.sessions() {
            all.extend(self.facts(name)?.installs());
        }
        for installed in &self.survey.installs {
            let named = installed.install.packages.iter().map(|word| word.text.clone());
            all.extend(named.filter(|word| !word.contains("nox") && !word.starts_with("uv")));
        }
        all.sort();
        all.dedup();
        Some(all)
    }

    /// The expression that names the session of each job of its matrix, where each runs one of its own.
    pub fn session_of_matrix(&self) -> Option<String> {
        let [call] = self.survey.calls.as_slice() else { return None };
        let step = self.step(call.step)?;
        let written = match &call.nox.selection {
            Selection::Names(words) => words.first().filter(|_| words.len() == 1).map(|word| word.text.as_str()),
            Selection::Default => {
                self.workflow.variable(self.job, Some(step), "NOXSESSION").map(|text| text.value.as_str())
            }
            _ => None,
        };
        let name = written?.trim();
        let axis = name.strip_prefix("${{")?.strip_suffix("}}")?.trim().strip_prefix("matrix.")?;
        (self.job.matrix.as_ref()?.values(axis).len() > 1).then(|| format!("${{{{ matrix.{axis} }}}}"))
    }

    /// Whether caches do not belong here: what the job makes is handed out.
    pub fn hands_out(&self) -> bool {
        self.workflow.releases() || self.job.publishes()
    }

    /// Whether the runner is not the forge's own machine.
    pub fn self_hosted(&self) -> bool {
        self.workflow.dialect != Dialect::Github || !self.job.hosted()
    }
}
