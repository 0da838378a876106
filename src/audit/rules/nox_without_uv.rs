//! NX404: Sessions create their environments with virtualenv and pip.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX404",
        name: "nox-without-uv",
        summary: "Sessions create their environments with virtualenv and pip.",
    },
    rationale: "uv creates an environment and fills it with links from its cache in a fraction of the time.",
    evidence: "43 % of sampled repositories do not select uv. Reported once for a project, and only for sessions that install packages and do not call pip, virtualenv or conda themselves.",
    advice: "Use `nox -db uv`, `NOX_DEFAULT_VENV_BACKEND=uv`, or `nox.options.default_venv_backend = \"uv|virtualenv\"` in the noxfile.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
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
    if project.noxfile.as_ref().is_none_or(crate::audit::noxfile::Noxfile::has_uv_backend) {
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
            !is_configured && call.parsed.backend.is_none() && !call.parsed.is_noxide && is_movable
        });
        calls.extend(slow.map(|call| (view, call.span)));
    }
    // One decision for the whole project.
    let [(view, span), others @ ..] = calls.as_slice() else { return };
    let finding = findings.report(view.source(), *span, "these sessions use virtualenv and pip instead of uv");
    for (other, span) in others {
        finding.add_related(other.source(), *span, "and these");
    }
}

/// Whether a session would run with uv: it selects no backend itself, and does not call pip or virtualenv, which
/// environments of uv lack.
fn can_use_uv(session: &crate::audit::noxfile::NoxfileSession) -> bool {
    let is_missing_tool =
        |word: &String| matches!(word.as_str(), "pip" | "virtualenv" | "ensurepip" | "conda" | "mamba");
    let calls_pip = session.run_actions().any(|run| run.args.iter().take(3).any(is_missing_tool));
    let uses_conda = session.actions.iter().any(|action| action.method.contains("conda"));
    let installs = session.actions.iter().any(|action| action.method == "install");
    session.venv_backend.is_none() && installs && !calls_pip && !uses_conda
}
