//! NX404: sessions make their environments with virtualenv and pip.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX404",
        name: "nox-without-uv",
        what: "Sessions make their environments with virtualenv and pip.",
    },
    why: "uv makes an environment and fills it from its cache by links in a fraction of the time.",
    evidence: "43 % of sampled repositories do not choose uv.",
    advice: "`nox -db uv`, `NOX_DEFAULT_VENV_BACKEND=uv`, or `nox.options.default_venv_backend = \"uv|virtualenv\"` in the noxfile.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: EVERYWHERE,
    bad: &[
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
    good: &[
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
    look,
};

fn look(project: &Project, found: &mut Found) {
    if project.noxfile.as_ref().is_none_or(crate::audit::noxfile::Noxfile::uses_uv) {
        return;
    }
    for view in project.jobs() {
        let slow = view.survey.calls.iter().find(|call| {
            let step = view.step(call.step);
            let said = ["NOX_DEFAULT_VENV_BACKEND", "NOX_FORCE_VENV_BACKEND"]
                .iter()
                .any(|name| view.workflow.variable(view.job, step, name).is_some());
            let declared = call.sessions.iter().all(|(name, _)| {
                view.facts(name)
                    .and_then(|facts| facts.backend.as_deref())
                    .is_some_and(|backend| backend.contains("uv") || backend == "none")
            });
            !said && call.nox.backend.is_none() && (call.sessions.is_empty() || !declared)
        });
        if let Some(call) = slow {
            found.report(view.source(), call.place, "these sessions use virtualenv and pip");
        }
    }
}
