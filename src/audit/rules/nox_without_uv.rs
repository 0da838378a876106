//! NX404: sessions make their environments with virtualenv and pip.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX404",
        name: "nox-without-uv",
        summary: "Sessions make their environments with virtualenv and pip.",
    },
    rationale: "uv makes an environment and fills it from its cache by links in a fraction of the time.",
    evidence: "43 % of sampled repositories do not choose uv.",
    advice: "`nox -db uv`, `NOX_DEFAULT_VENV_BACKEND=uv`, or `nox.options.default_venv_backend = \"uv|virtualenv\"` in the noxfile.",
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

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    if project.noxfile.as_ref().is_none_or(crate::audit::noxfile::Noxfile::has_uv_backend) {
        return;
    }
    for view in project.job_views() {
        let slow = view.analysis.nox_calls.iter().find(|call| {
            let step = view.step(call.step_index);
            let said = ["NOX_DEFAULT_VENV_BACKEND", "NOX_FORCE_VENV_BACKEND"]
                .iter()
                .any(|name| view.workflow.resolve_variable(view.job, step, name).is_some());
            let declared = call.sessions.iter().all(|(name, _)| {
                view.noxfile_session(name)
                    .and_then(|facts| facts.backend.as_deref())
                    .is_some_and(|backend| backend.contains("uv") || backend == "none")
            });
            !said && call.parsed.backend.is_none() && (call.sessions.is_empty() || !declared)
        });
        if let Some(call) = slow {
            found.report(view.source(), call.span, "these sessions use virtualenv and pip");
        }
    }
}
