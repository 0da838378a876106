//! Installer of a job's packages: whether uv, pip or pdm downloads them, if every command and action of the job tells.

use super::noxfile::NoxfileSession;
use super::project::{JobNoxCall, JobView};
use super::shell::{PackageInstaller, ShellCommand, requirement_name};
use super::workflow::WorkflowStep;

/// Tool that downloads packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Downloader {
    Uv,
    Pip,
    Pdm,
}

impl Downloader {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Uv => "uv",
            Self::Pip => "pip",
            Self::Pdm => "pdm",
        }
    }
}

/// Tools that run sessions and install packages: what they need themselves is little.
const TOOLS: [&str; 12] =
    ["nox", "uv", "pip", "setuptools", "wheel", "virtualenv", "pdm", "poetry", "hatch", "tox", "nox-uv", "noxide"];
/// Programs that may install packages in a way that the command does not tell.
const OPAQUE_PROGRAMS: [&str; 20] = [
    "make",
    "tox",
    "just",
    "task",
    "invoke",
    "hatch",
    "poetry",
    "pipenv",
    "conda",
    "mamba",
    "micromamba",
    "pre-commit",
    "prek",
    "bash",
    "sh",
    "docker",
    "cibuildwheel",
    "rye",
    "pixi",
    "source",
];
/// Modules that `python -m` may run without installing anything.
const HARMLESS_MODULES: [&str; 6] = ["pip", "nox", "venv", "pytest", "coverage", "mypy"];
/// Actions that install no packages.
const HARMLESS_ACTIONS: [&str; 6] = [
    "astral-sh/setup-uv",
    "codecov/codecov-action",
    "step-security/harden-runner",
    "pdm-project/setup-pdm",
    "dorny/paths-filter",
    "re-actors/alls-green",
];

impl JobView<'_> {
    /// Returns the tool that downloads all packages of the job, besides the tools that run its sessions; `None` if a
    /// command or an action does not tell, or if there are several such tools.
    pub(crate) fn single_downloader(&self) -> Option<Downloader> {
        if self.job.steps.iter().any(is_opaque_step) {
            return None;
        }
        let mut found = Vec::new();
        for job_install in &self.analysis.installs {
            let install = &job_install.install;
            let is_tool = |text: &str| TOOLS.contains(&requirement_name(text));
            let has_only_tools = !install.packages.is_empty()
                && install.requirement_files.is_empty()
                && install.packages.iter().all(|word| is_tool(&word.text));
            match install.installer {
                _ if has_only_tools => {}
                PackageInstaller::Uv => found.push(Downloader::Uv),
                PackageInstaller::Pip | PackageInstaller::Pipx => found.push(Downloader::Pip),
                PackageInstaller::Other if self.is_pdm_install(job_install.step_index) => found.push(Downloader::Pdm),
                PackageInstaller::Other => return None,
            }
        }
        for call in &self.analysis.nox_calls {
            self.add_session_downloaders(call, &mut found)?;
        }
        let first = *found.first()?;
        found.iter().all(|other| *other == first).then_some(first)
    }

    fn is_pdm_install(&self, step_index: usize) -> bool {
        let commands = self.step(step_index).map(|step| step.commands.as_slice()).unwrap_or_default();
        let installs = |command: &ShellCommand| matches!(command.program_name(), "poetry" | "hatch");
        commands.iter().any(|command| command.program_name() == "pdm") && !commands.iter().any(installs)
    }

    /// Adds the tools that the sessions of a call download with; `None` if a session does not tell.
    fn add_session_downloaders(&self, call: &JobNoxCall, found: &mut Vec<Downloader>) -> Option<()> {
        if call.parsed.is_noxide {
            found.push(Downloader::Uv);
            return Some(());
        }
        let noxfile = self.project.noxfile.as_ref().filter(|_| !call.sessions.is_empty())?;
        let names = ["NOX_FORCE_VENV_BACKEND", "NOX_DEFAULT_VENV_BACKEND"];
        let step = self.step(call.step_index);
        let mut variables = names.iter().filter_map(|name| self.workflow.resolve_variable(self.job, step, name));
        let chosen = call.parsed.backend.clone().or_else(|| variables.next().map(|text| text.value.clone()));
        for (name, _) in &call.sessions {
            let session = self.noxfile_session(name)?;
            let backend = noxfile.session_backend(session)?;
            let backend = match (&chosen, &session.venv_backend) {
                (Some(chosen), None) => chosen.as_str(),
                (Some(chosen), Some(own)) if chosen != own => return None,
                _ => backend,
            };
            self.add_actions(session, backend, found)?;
        }
        Some(())
    }

    fn add_actions(&self, session: &NoxfileSession, backend: &str, found: &mut Vec<Downloader>) -> Option<()> {
        for call in &session.calls {
            match call.method.as_str() {
                "install" => found.push(match backend {
                    "uv" => Downloader::Uv,
                    "virtualenv" | "venv" => Downloader::Pip,
                    "uv|virtualenv" | "uv|venv" if self.has_uv() => Downloader::Uv,
                    _ => return None,
                }),
                "run" | "run_always" | "run_install" => {
                    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
                    match words.as_slice() {
                        ["uv" | "uvx", ..] => found.push(Downloader::Uv),
                        ["pip", ..] | ["python" | "python3", "-m", "pip", ..] => found.push(Downloader::Pip),
                        ["pdm", "install" | "sync", ..] => found.push(Downloader::Pdm),
                        ["python" | "python3", "-m", module, ..] if *module == "build" => return None,
                        ["nox" | "pipx", ..] => return None,
                        [program, ..] if OPAQUE_PROGRAMS.contains(program) => return None,
                        [program, ..] if program.starts_with(['<', '*', '.']) => return None,
                        _ => {}
                    }
                }
                "conda_install" | "poetry.install" | "notify" | "unknown_call" => return None,
                _ => {}
            }
        }
        Some(())
    }

    /// Whether the job has uv: an action or a command installs it, or a command runs it.
    pub(crate) fn has_uv(&self) -> bool {
        let installs = |text: &str| requirement_name(text) == "uv" || text.starts_with("nox[uv]");
        self.job.steps.iter().any(|step| step.uses_action("astral-sh/setup-uv"))
            || self.analysis.installs.iter().any(|job_install| {
                job_install.install.installer == PackageInstaller::Uv
                    || job_install.install.packages.iter().any(|word| installs(&word.text))
            })
    }
}

/// Whether a step may install packages in a way that it does not tell.
fn is_opaque_step(step: &WorkflowStep) -> bool {
    let is_known_action = step
        .action
        .as_ref()
        .is_none_or(|action| action.name.starts_with("actions/") || HARMLESS_ACTIONS.contains(&action.name.as_str()));
    !is_known_action || step.commands.iter().any(is_opaque_command)
}

fn is_opaque_command(command: &ShellCommand) -> bool {
    let program = command.program_name();
    let word = |index: usize| command.words.get(index).map_or("", |word| word.text.as_str());
    let is_script = word(0).starts_with("./") || program.ends_with(".sh") || program.ends_with(".py");
    let runs_module = word(1) == "-m" && HARMLESS_MODULES.contains(&word(2));
    let is_python_script =
        program.starts_with("python") && !runs_module && !matches!(word(1), "-c" | "-V" | "--version");
    OPAQUE_PROGRAMS.contains(&program) || is_script || is_python_script || word(0).contains('$')
}
