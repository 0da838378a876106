//! NX404: Sessions create their environments with virtualenv and pip.

use super::prelude::*;
use crate::audit::shell::requirement_name;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX404",
        name: "nox-without-uv",
        summary: "Sessions create their environments with virtualenv and pip.",
    },
    rationale: "uv creates an environment and fills it with links from its cache in a fraction of the time.",
    evidence: "43 % of sampled repositories do not select uv. Reported once for a project, and only for sessions that install packages and do not call pip, virtualenv or conda themselves. Not reported where the noxfile selects a backend, uses nox-poetry, passes pip-only options to `session.install`, or runs `setup.py` in a session that does not install setuptools; where the installed nox (also by a constraints file) is older than 2024.3; or where a job runs Python 3.7 or older, for which uv cannot be installed.",
    advice: "Install uv (`nox[uv]` or `setup-uv`), and use `nox -db uv`, `NOX_DEFAULT_VENV_BACKEND=uv`, or `nox.options.default_venv_backend = \"uv|virtualenv\"` in the noxfile. A cache of pip's downloads, such as `cache: pip`, must become one of uv's.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: nox -s lint
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

@nox.session
def lint(session):
    session.install("ruff")
"#,
        ),
    ],
    good_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  lint:
    runs-on: docker
    env: {NOX_DEFAULT_VENV_BACKEND: uv}
    steps:
      - run: nox -s lint
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

@nox.session
def lint(session):
    session.install("ruff")
"#,
        ),
    ],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    let Some(noxfile) = project.noxfile.as_ref().filter(|noxfile| !noxfile.has_uv_backend()) else { return };
    if noxfile.has_default_backend()
        || PIP_ONLY.iter().any(|part| noxfile.source.text.contains(part))
        || noxfile.sessions().iter().any(needs_pip)
        || project.job_views().any(|view| runs_old_python(&view))
    {
        return;
    }
    let mut calls: Vec<(JobView, Span)> = Vec::new();
    for view in project.job_views() {
        let slow = view.analysis.nox_calls.iter().find(|call| {
            let step = view.step(call.step_index);
            let is_configured = ["NOX_DEFAULT_VENV_BACKEND", "NOX_FORCE_VENV_BACKEND"]
                .iter()
                .any(|name| view.workflow.resolve_variable(view.job, step, name).is_some());
            let is_movable = !call.sessions.is_empty()
                && call.sessions.iter().all(|(name, _)| view.noxfile_session(name).is_some_and(can_use_uv));
            let is_movable = is_movable && !runs_in_other_directory(&view, step) && !has_old_nox(&view);
            !is_configured && call.parsed.backend.is_none() && !call.parsed.is_noxide && is_movable
        });
        calls.extend(slow.map(|call| (view, call.span)));
    }
    // One decision for the whole project.
    let [(view, span), others @ ..] = calls.as_slice() else { return };
    let finding = findings.report(view.source(), *span, "these sessions use virtualenv and pip instead of uv");
    if noxfile.sessions().iter().any(calls_missing_tool) {
        finding.set_advice(
            "Install uv (`nox[uv]` or `setup-uv`), and use `nox -db uv` in these calls. Do not set the backend in the noxfile or for the whole workflow: other sessions call pip, virtualenv or conda, which environments of uv lack.",
        );
    }
    for (other, span) in others {
        finding.add_related(other.source(), *span, "and these");
    }
}

/// Parts of a noxfile that needs pip: options of installs that uv does not accept, and nox-poetry.
const PIP_ONLY: [&str; 7] = [
    "nox_poetry",
    "--progress-bar",
    "--use-pep517",
    "--disable-pip-version-check",
    "--no-warn-script-location",
    "--root-user-action",
    "--ignore-installed",
];

/// Whether a session passes options to an install that uv does not have, or runs `setup.py` with the setuptools that only
/// virtualenv installs unasked.
fn needs_pip(session: &crate::audit::noxfile::NoxfileSession) -> bool {
    let mut installs = session.calls.iter().filter(|call| call.method == "install");
    let is_pip_only = |word: &String| {
        let option = word.trim_start_matches("<f'").split('=').next().unwrap_or_default();
        matches!(option, "--platform" | "--abi" | "--implementation")
    };
    let installs_setuptools = session.installed_packages().iter().any(|word| requirement_name(word) == "setuptools");
    let mut runs = session.run_calls();
    let runs_setup = runs.any(|run| matches!(run.args.as_slice(), [python, script, ..] if python.starts_with("python") && script == "setup.py"));
    installs.any(|call| call.args.iter().any(is_pip_only)) || (runs_setup && !installs_setuptools)
}

/// Whether a job that runs nox chooses a Python for which uv cannot be installed.
fn runs_old_python(view: &JobView) -> bool {
    let is_old = |text: &str| {
        let version = text.trim_start_matches("pypy").trim_start_matches(['-', 'v', '@']);
        ["2.7", "3.5", "3.6", "3.7"].iter().any(|old| version == *old || version.starts_with(&format!("{old}.")))
    };
    let inputs = view
        .job
        .steps
        .iter()
        .filter_map(|step| step.input_value("python-version").or(step.input_value("python-versions")));
    let in_steps = inputs.flat_map(|text| text.value.split([',', '\n', ' '])).any(|text| is_old(text.trim()));
    let mut axes = view.job.matrix.iter().flat_map(|matrix| &matrix.axes);
    let in_matrix = axes.any(|(name, values)| name.contains("py") && values.iter().any(|value| is_old(value)));
    !view.analysis.nox_calls.is_empty() && (in_steps || in_matrix)
}

/// Whether the step runs in another directory, whose noxfile is another one.
fn runs_in_other_directory(view: &JobView, step: Option<&WorkflowStep>) -> bool {
    let own = step.and_then(|step| step.node.get("working-directory"));
    let default = || {
        let mut nodes = [&view.job.node, &view.workflow.root].into_iter();
        nodes.find_map(|node| node.get("defaults")?.get("run")?.get("working-directory"))
    };
    let directory = own.or_else(default).and_then(|node| node.as_str());
    let is_checkout = |path: &str| {
        view.job.steps.iter().any(|step| {
            let input = |name: &str| step.input_value(name).map(|text| text.value.trim_end_matches('/'));
            step.uses_action("actions/checkout") && input("path") == Some(path) && input("repository").is_none()
        })
    };
    directory.map(|path| path.trim_end_matches('/')).is_some_and(|path| {
        !matches!(path, "" | "." | "${{ github.workspace }}") && !is_checkout(path.trim_start_matches("./"))
    })
}

/// Whether the job installs a nox that is older than the option `default_venv_backend` with alternatives (2024.3).
fn has_old_nox(view: &JobView) -> bool {
    let is_old = |version: &str| {
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < (2024, 3)
    };
    let is_constrained = || {
        let commands =
            view.job.steps.iter().flat_map(|step| &step.commands).filter(|command| command.has_word("install"));
        let options = commands.flat_map(|command| command.words.windows(2));
        let separate =
            options.filter(|pair| matches!(pair[0].text.as_str(), "-c" | "--constraint")).map(|pair| &pair[1].text);
        let words = view.job.steps.iter().flat_map(|step| &step.commands).flat_map(|command| &command.words);
        let joined = words.filter_map(|word| word.text.strip_prefix("--constraint="));
        let steps = view.job.steps.iter();
        let variables = steps.filter_map(|step| view.workflow.resolve_variable(view.job, Some(step), "PIP_CONSTRAINT"));
        let files = separate.map(String::as_str).chain(joined).chain(variables.map(|text| text.value.as_str()));
        let mut texts =
            files.map(|file| crate::fs::read_project_text(&view.project.root.join(file)).unwrap_or_default());
        texts.any(|text| text.lines().any(|line| line.trim().strip_prefix("nox==").is_some_and(is_old)))
    };
    let mut packages = view.analysis.installs.iter().filter_map(|found| found.install.find_package("nox"));
    packages.any(|word| word.text.split_once("==").is_some_and(|(_, version)| is_old(version)))
        || is_constrained()
        || view.project.files.locked_versions.get("nox").is_some_and(|version| is_old(version))
}

/// Whether a session calls a tool that environments of uv lack.
fn calls_missing_tool(session: &crate::audit::noxfile::NoxfileSession) -> bool {
    let is_missing = |word: &String| matches!(word.as_str(), "pip" | "virtualenv" | "ensurepip" | "conda" | "mamba");
    session.run_calls().any(|run| run.args.iter().take(3).any(is_missing))
}

/// Whether a session would run with uv: it selects no backend itself, and does not call pip or virtualenv, which
/// environments of uv lack.
fn can_use_uv(session: &crate::audit::noxfile::NoxfileSession) -> bool {
    let uses_conda = session.calls.iter().any(|call| call.method.contains("conda"));
    let installs = session.calls.iter().any(|call| call.method == "install");
    session.venv_backend.is_none() && installs && !calls_missing_tool(session) && !uses_conda
}
