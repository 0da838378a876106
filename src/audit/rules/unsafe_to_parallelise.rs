//! NX206: sessions of a job build on one another: running them side by side would change results.

use super::prelude::*;
use crate::audit::order::keeps_order;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX206",
        name: "unsafe-to-parallelise",
        what: "Sessions of a job build on one another: running them side by side would change results.",
    },
    why: "`--cov-append`, a shared coverage file, `dist/`, git writes: the order is part of the meaning, so noxide offers no rewrite here.",
    evidence: "2 of 75 sampled repositories append coverage between sessions; the users' test sessions rebuild one template database (T1).",
    advice: "Give each session its own data file and combine at the end, or keep the order.",
    severity: Severity::Info,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
    dialects: EVERYWHERE,
    bad: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: |
          nox -s unit
          nox -s integration
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

@nox.session
def unit(session):
    session.run("pytest", "--cov", "tests/unit")

@nox.session
def integration(session):
    session.run("pytest", "--cov", "--cov-append", "tests/integration")
"#,
        ),
    ],
    good: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: |
          nox -s unit
          nox -s integration
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

@nox.session
def unit(session):
    session.run("pytest", "tests/unit")

@nox.session
def integration(session):
    session.run("pytest", "tests/integration")
"#,
        ),
    ],
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs().filter(|view| view.sessions().len() > 1) {
        if let (Some(reason), Some(call)) = (keeps_order(&view), view.survey.calls.first()) {
            found.report(view.source(), call.place, format!("these sessions keep their order: {reason}"));
        }
    }
}
