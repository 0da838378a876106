//! NX207: A matrix of sessions stops at the first failure.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX207", name: "matrix-fail-fast", what: "A matrix of sessions stops at the first failure." },
    why: "`fail-fast` is on by default: the other sessions are cancelled and their results unknown, so a second run is needed to see them.",
    evidence: "25 % of 117 sampled nox matrix jobs.",
    advice: "Set `fail-fast: false`.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
    dialects: EVERYWHERE,
    bad: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  checks:
    runs-on: docker
    strategy:
      matrix: {session: [a, b]}
    steps:
      - run: nox -s ${{ matrix.session }}
"#,
    )],
    good: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  checks:
    runs-on: docker
    strategy:
      fail-fast: false
      matrix: {session: [a, b]}
    steps:
      - run: nox -s ${{ matrix.session }}
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs().filter(|view| !view.survey.calls.is_empty()) {
        if let Some(matrix) = view.job.matrix.as_ref().filter(|matrix| matrix.fail_fast.is_none()) {
            let fix = fixes::step::insert_in_strategy(&view, "fail-fast", "false", "let every session end");
            found.report(view.source(), matrix.key, "the first failing session cancels the others").fix(fix);
        }
    }
}
