//! NX204: A matrix makes more jobs than the runners take at once.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX204",
        name: "matrix-over-capacity",
        summary: "A matrix makes more jobs than the runners take at once.",
    },
    rationale: "The jobs beyond that wait, and each repeats the whole preparation: slower than one job that runs the sessions side by side.",
    evidence: "A Forgejo runner's default capacity is 1 (config.example.yaml): a matrix of ten sessions is serial and prepares itself ten times. Reported only with `--runner-capacity`.",
    advice: "One job with `noxide run`, or a smaller matrix.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  checks:
    runs-on: docker
    strategy:
      matrix: {session: [a, b, c, d]}
    steps:
      - run: pip install nox
      - run: nox -s ${{ matrix.session }}
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  checks:
    runs-on: docker
    steps:
      - run: pip install nox noxide
      - run: noxide run -s a b c d
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    let Some(capacity) = project.options.runner_capacity else { return };
    for view in project.job_views().filter(JobView::has_python_installs) {
        let Some(matrix) = &view.job.matrix else { continue };
        if let Some(jobs) = matrix.job_count.filter(|jobs| *jobs > capacity) {
            let message = format!("{jobs} jobs on runners that take {capacity} at once, each preparing itself");
            found.report(view.source(), matrix.key_span, message);
        }
    }
}
