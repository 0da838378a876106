//! NX207: A matrix of sessions stops at the first failure.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX207",
        name: "matrix-fail-fast",
        summary: "A matrix of sessions stops at the first failure.",
    },
    rationale: "`fail-fast` is on by default: the other sessions are cancelled, and a second run is needed to see their results.",
    evidence: "25 % of 117 sampled nox matrix jobs.",
    advice: "Set `fail-fast: false`.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
    forges: ALL_FORGES,
    bad_example: &[(
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
    good_example: &[(
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
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views().filter(|view| !view.analysis.nox_calls.is_empty()) {
        if let Some(matrix) = view.job.matrix.as_ref().filter(|matrix| matrix.fail_fast.is_none()) {
            let fix = fixes::step_edit::insert_strategy_key(&view, "fail-fast", "false", "let every session finish")
                .map(fixes::mark_unsafe);
            findings
                .report(view.source(), matrix.key_span, "the first failing session cancels the others")
                .set_fix(fix);
        }
    }
}
