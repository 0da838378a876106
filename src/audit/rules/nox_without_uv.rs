//! NX404: Sessions create their environments with virtualenv and pip.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX404",
        name: "nox-without-uv",
        summary: "Sessions create their environments with virtualenv and pip.",
    },
    rationale: "uv creates an environment and fills it with links from its cache in a fraction of the time.",
    evidence: "43 % of sampled repositories do not select uv.",
    advice: "Use `nox -db uv`, `NOX_DEFAULT_VENV_BACKEND=uv`, or `nox.options.default_venv_backend = \"uv|virtualenv\"` in the noxfile.",
    severity: Severity::Medium,
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
    for view in project.job_views() {
        let slow = view.analysis.nox_calls.iter().find(|call| {
            let step = view.step(call.step_index);
            let is_configured = ["NOX_DEFAULT_VENV_BACKEND", "NOX_FORCE_VENV_BACKEND"]
                .iter()
                .any(|name| view.workflow.resolve_variable(view.job, step, name).is_some());
            let declared = call.sessions.iter().all(|(name, _)| {
                view.noxfile_session(name)
                    .and_then(|session| session.venv_backend.as_deref())
                    .is_some_and(|backend| backend.contains("uv") || backend == "none")
            });
            !is_configured && call.parsed.backend.is_none() && (call.sessions.is_empty() || !declared)
        });
        if let Some(call) = slow {
            findings.report(view.source(), call.span, "these sessions use virtualenv and pip instead of uv");
        }
    }
}
