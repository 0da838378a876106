//! NX404: Sessions create their environments with virtualenv and pip.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX404",
        name: "nox-without-uv",
        summary: "Sessions create their environments with virtualenv and pip.",
    },
    rationale: "uv creates an environment and fills it with links from its cache in a fraction of the time.",
    evidence: "43 % of sampled repositories do not select uv. Reported once for a project, and only for sessions that install packages and do not call pip, virtualenv or conda themselves. Not reported where the noxfile selects a backend, uses nox-poetry or passes pip-only options to `session.install`, or where the installed nox is older than 2024.3.",
    advice: "Use `nox -db uv`, `NOX_DEFAULT_VENV_BACKEND=uv`, or `nox.options.default_venv_backend = \"uv|virtualenv\"` in the noxfile.",
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
    if noxfile.has_default_backend() || PIP_ONLY.iter().any(|part| noxfile.source.text.contains(part)) {
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
            "Use `nox -db uv` in these calls. Do not set the backend in the noxfile or for the whole workflow: other sessions call pip, virtualenv or conda, which environments of uv lack.",
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
    let mut packages = view.analysis.installs.iter().filter_map(|found| found.install.find_package("nox"));
    packages.any(|word| word.text.split_once("==").is_some_and(|(_, version)| is_old(version)))
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
    let uses_conda = session.actions.iter().any(|action| action.method.contains("conda"));
    let installs = session.actions.iter().any(|action| action.method == "install");
    session.venv_backend.is_none() && installs && !calls_missing_tool(session) && !uses_conda
}
