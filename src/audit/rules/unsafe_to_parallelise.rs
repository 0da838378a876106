//! NX206: sessions of a job build on one another: running them side by side would change results.

use super::prelude::*;
use crate::audit::session_order::required_order_reason;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX206",
        name: "unsafe-to-parallelise",
        summary: "Sessions of a job build on one another: running them side by side would change results.",
    },
    rationale: "`--cov-append`, a shared coverage file, `dist/`, git writes: the order is part of the meaning, so noxide offers no rewrite here.",
    evidence: "2 of 75 sampled repositories append coverage between sessions; the users' test sessions rebuild one template database (T1).",
    advice: "Give each session its own data file and combine at the end, or keep the order.",
    severity: Severity::Info,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
    dialects: ALL_DIALECTS,
    bad_example: &[
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
    good_example: &[
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
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views().filter(|view| view.session_names().len() > 1) {
        if let (Some(reason), Some(call)) = (required_order_reason(&view), view.analysis.nox_calls.first()) {
            found.report(view.source(), call.span, format!("these sessions keep their order: {reason}"));
        }
    }
}
