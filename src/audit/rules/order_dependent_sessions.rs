//! NX206: Sessions of a job depend on their order and cannot run in parallel.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX206",
        name: "order-dependent-sessions",
        summary: "Sessions of a job depend on their order and cannot run in parallel.",
    },
    rationale: "`--cov-append`, a shared coverage file, `dist/` or Git writes make the order matter, so noxide offers no fix here.",
    evidence: "2 of 75 sampled repositories append coverage between sessions; the test sessions of `examples/parcelbook` rebuild one template database.",
    advice: "Give each session its own data file and combine the files at the end, or keep the order.",
    severity: Severity::Info,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
    forges: ALL_FORGES,
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views().filter(|view| view.session_names().len() > 1) {
        if let (Some(reason), Some(call)) = (view.required_order_reason(), view.analysis.nox_calls.first()) {
            findings.report(view.source(), call.span, format!("these sessions must run in order: {reason}"));
        }
    }
}
