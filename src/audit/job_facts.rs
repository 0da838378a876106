//! Facts of a job that decide whether a finding is certain and whether a fix is harmless: publishing, system, installs.

use std::collections::BTreeSet;

use super::expanded_script::is_local_file;
use super::forge::Forge;
use super::job_cache::JobCache;
use super::noxfile::Noxfile;
use super::project::JobView;
use super::session_variable::{SessionVariable, written_value};
use super::shell::PackageInstaller;
use super::workflow::{SpannedText, Workflow, WorkflowJob, WorkflowTriggers};

/// Tools whose download caches a job fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Downloads {
    pub(crate) uv: bool,
    pub(crate) pip: bool,
}

/// Words in the ids of jobs and the names of files that publish.
const PUBLISHING_WORDS: [&str; 6] = ["publish", "release", "deploy", "pypi", "upload", "wheels"];
/// Permissions of jobs that publish.
const PUBLISHING_PERMISSIONS: [&str; 3] = ["contents", "packages", "id-token"];

impl JobView<'_> {
    /// Whether the job publishes what it builds, or builds what a later job publishes.
    pub(crate) fn feeds_release(&self) -> bool {
        let publishes = |job: &&WorkflowJob| job.is_release_job();
        self.is_release() || self.dependents().iter().any(publishes)
    }

    /// Whether the job may publish something: by the words of its id or its file, by its permissions, by releases,
    /// tags and release branches that start it, by distributions that it uploads, or through a later job.
    pub(crate) fn may_publish(&self) -> bool {
        let file = self.source().path.rsplit('/').next().unwrap_or_default().to_lowercase();
        let id = self.job.id.value.to_lowercase();
        let is_publishing = |text: &str| {
            let mut parts = text.split(|c: char| !c.is_ascii_alphanumeric());
            PUBLISHING_WORDS.iter().any(|word| text.contains(word)) || parts.any(|part| part == "tag")
        };
        let may_write = [&self.job.node, &self.workflow.root].into_iter().any(|node| {
            let permissions = node.get("permissions");
            permissions.and_then(|node| node.as_str()) == Some("write-all")
                || permissions.is_some_and(|node| {
                    let is_write = |name: &&str| node.get(name).and_then(|node| node.as_str()) == Some("write");
                    PUBLISHING_PERMISSIONS.iter().any(is_write)
                })
        });
        let mut uploads = self.job.steps.iter().filter(|step| step.is_artifact_upload());
        let uploads_distributions = uploads.any(|step| {
            let path = step.input_value("path").map_or("", |text| text.value.as_str());
            ["dist", "wheel", ".whl"].iter().any(|part| path.contains(part))
        });
        let on = &self.workflow.triggers;
        let runs_for_releases = on.has_filter("push", "tags") || self.source().slice(on.span).contains("release");
        let is_named = is_publishing(&file) || is_publishing(&id);
        self.feeds_release() || runs_for_releases || is_named || may_write || uploads_distributions
    }

    /// Whether the job, or one after it, writes to another place: it has a deployment environment, pushes commits, or its
    /// ID or the workflow that it calls is named after a deployment.
    pub(crate) fn may_deploy(&self) -> bool {
        let pushes = |job: &WorkflowJob| {
            let mut commands = job.steps.iter().flat_map(|step| &step.commands);
            commands.any(|command| command.program_name() == "git" && command.has_word("push"))
        };
        let deploys = |job: &WorkflowJob| {
            let called = job.uses.as_ref().map_or("", |uses| uses.value.as_str());
            let has_word = |text: &str| PUBLISHING_WORDS.iter().any(|word| text.to_lowercase().contains(word));
            job.node.get("environment").is_some() || has_word(called) || has_word(&job.id.value) || pushes(job)
        };
        deploys(self.job) || self.dependents().into_iter().any(deploys)
    }

    /// Returns the triggers that start the job: those of its workflow, or, of a reusable workflow, those of the project's
    /// workflows that call it. Empty if none calls it.
    pub(crate) fn starting_triggers(&self) -> Vec<&WorkflowTriggers> {
        let mut found = Vec::new();
        let mut pending = vec![self.workflow];
        let mut seen: Vec<usize> = Vec::new();
        while let Some(workflow) = pending.pop() {
            if seen.contains(&workflow.index) {
                continue;
            }
            seen.push(workflow.index);
            if !workflow.triggers.is_reusable_only() {
                found.push(&workflow.triggers);
            }
            let calls = |other: &&Workflow| {
                let mut uses = other.jobs.iter().filter_map(|job| job.uses.as_ref());
                uses.any(|uses| is_local_file(&uses.value, &workflow.source.path))
            };
            pending.extend(self.project.workflows.iter().filter(calls));
        }
        found
    }

    /// Returns the jobs that need this one, directly or through others.
    pub(crate) fn dependents(&self) -> Vec<&WorkflowJob> {
        let dependents = self.workflow.needs_graph.dependents(&self.job.id.value);
        dependents.filter_map(|dependent| self.workflow.jobs.get(dependent)).collect()
    }

    /// Whether every runner of the job is known to run Linux.
    pub(crate) fn runs_on_linux(&self) -> bool {
        let is_linux = |label: &str| {
            let label = label.to_lowercase();
            let other = label.contains("windows") || label.contains("macos");
            let known = ["ubuntu", "linux", "debian", "docker"].iter().any(|part| label.contains(part));
            !other && (known || self.workflow.forge != Forge::Github)
        };
        let labels = self.runner_labels();
        self.job.container.is_some() || (!labels.is_empty() && labels.iter().all(|label| is_linux(label)))
    }

    /// Whether a runner of the job may run Windows, whose default shell is not a POSIX shell.
    pub(crate) fn may_run_on_windows(&self) -> bool {
        self.job.container.is_none()
            && self
                .runner_labels()
                .iter()
                .any(|label| label.to_lowercase().contains("windows") || label.contains("${{"))
    }

    /// Returns the labels of the job's runners; an expression of the matrix as its values.
    fn runner_labels(&self) -> Vec<String> {
        let axis_values = |label: &str| {
            let axis = label.strip_prefix("${{")?.strip_suffix("}}")?.trim().strip_prefix("matrix.")?;
            let values = self.job.matrix.as_ref()?.axis_values(axis);
            (!values.is_empty()).then(|| values.to_vec())
        };
        let labels = self.job.runs_on.iter();
        labels.flat_map(|label| axis_values(&label.value).unwrap_or_else(|| vec![label.value.clone()])).collect()
    }

    /// Whether the job is certain to run on a self-hosted runner. On GitHub only the label `self-hosted` shows that; any
    /// other may be that of a larger GitHub-hosted runner.
    pub(crate) fn is_certainly_self_hosted(&self) -> bool {
        self.workflow.forge != Forge::Github || self.job.has_self_hosted_label()
    }

    /// Whether the jobs of the matrix run on different runners.
    pub(crate) fn has_several_platforms(&self) -> bool {
        let labels = self.runner_labels();
        self.job.runs_on.iter().any(|label| label.value.contains("${{"))
            && (labels.len() > 1 || labels.iter().any(|label| label.contains("${{")))
    }

    /// Whether the jobs of the matrix run on different runners on which a cache has the same paths. A path that a step prints
    /// differs between operating systems, and the paths are part of the version of an entry.
    pub(crate) fn mixes_platforms(&self, cache: &JobCache) -> bool {
        let is_printed = |path: &SpannedText| cache.is_printed_path(&path.value);
        if !self.has_several_platforms() || cache.paths.is_empty() || !cache.paths.iter().all(is_printed) {
            return self.has_several_platforms();
        }
        let mut labels = self.runner_labels();
        labels.sort();
        labels.dedup();
        let systems = ["ubuntu", "macos", "windows"];
        systems.iter().any(|system| labels.iter().filter(|label| label.starts_with(system)).count() > 1)
    }

    /// Returns the value of the variable that sets a cache directory where the job runs sessions or, without
    /// sessions, installs packages; `None` if it differs between steps.
    pub(crate) fn cache_dir_variable(&self, name: &str) -> Option<SpannedText> {
        let calls: BTreeSet<usize> = self.analysis.nox_calls.iter().map(|call| call.step_index).collect();
        let installs = || self.analysis.installs.iter().map(|install| install.step_index).collect();
        let steps = if calls.is_empty() { installs() } else { calls };
        let outer = self.workflow.resolve_variable(self.job, None, name).cloned();
        let Some(last) = steps.iter().max() else { return outer };
        // What the steps so far have left for the later ones; `None` inside if a script computes it.
        let mut left: Option<Option<SpannedText>> = None;
        let mut values: Vec<Option<SpannedText>> = Vec::new();
        for step in self.job.steps.iter().take(last + 1) {
            if steps.contains(&step.index) {
                let own = step.env.iter().find(|(key, _)| key.value == name).map(|(_, value)| value.clone());
                values.push(own.or_else(|| left.clone().unwrap_or_else(|| outer.clone())));
            }
            if let Some(written) = written_value(&step.commands, name) {
                let SessionVariable::Value(value) = written else { return None };
                let text = SpannedText { value, span: step.span, aliased: true };
                left = Some(step.runs_on_success().then_some(text));
            }
        }
        let value = |text: &Option<SpannedText>| text.as_ref().map(|text| text.value.clone());
        let is_equal = values.windows(2).all(|pair| value(&pair[0]) == value(&pair[1]));
        values.into_iter().next().filter(|_| is_equal)?
    }

    /// Returns which download caches the job fills; `None` if it installs with a tool whose cache is unknown, or runs
    /// sessions whose backend is unknown.
    pub(crate) fn downloads(&self) -> Option<Downloads> {
        let mut downloads = Downloads::default();
        for job_install in &self.analysis.installs {
            match job_install.install.installer {
                PackageInstaller::Uv => downloads.uv = true,
                PackageInstaller::Pip | PackageInstaller::Pipx => downloads.pip = true,
                PackageInstaller::Other => return None,
            }
        }
        for call in &self.analysis.nox_calls {
            let step = self.step(call.step_index);
            let backend = call.parsed.backend.clone().or_else(|| {
                let names = ["NOX_FORCE_VENV_BACKEND", "NOX_DEFAULT_VENV_BACKEND"];
                let value = |name| self.workflow.resolve_variable(self.job, step, name);
                names.into_iter().find_map(value).map(|text| text.value.clone())
            });
            let from_noxfile = || self.project.noxfile.as_ref().map(Noxfile::backends);
            match backend.map(|backend| vec![backend]).or_else(from_noxfile) {
                _ if call.parsed.is_noxide => downloads.uv = true,
                None => return None,
                Some(backends) => {
                    for backend in backends {
                        let choices: Vec<&str> = backend.split('|').collect();
                        downloads.uv |= choices.contains(&"uv");
                        downloads.pip |= choices.contains(&"virtualenv") || choices.contains(&"venv");
                        choices
                            .iter()
                            .all(|name| matches!(*name, "uv" | "virtualenv" | "venv" | "none"))
                            .then_some(())?;
                    }
                }
            }
        }
        Some(downloads)
    }

    /// Returns the default shell of the job's steps, if it is set.
    pub(crate) fn default_shell(&self) -> Option<&str> {
        [&self.job.node, &self.workflow.root]
            .into_iter()
            .find_map(|node| node.get("defaults")?.get("run")?.get("shell")?.as_str())
    }

    /// Whether the job has noxide: it installs it or already calls it.
    pub(crate) fn has_noxide(&self) -> bool {
        self.analysis.installs.iter().any(|job_install| job_install.install.find_package("noxide").is_some())
            || self.job.steps.iter().flat_map(|step| &step.commands).any(|command| command.program_name() == "noxide")
    }
}
