//! NX204: A matrix creates more jobs than the runners can run at once.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX204",
        name: "matrix-over-capacity",
        summary: "A matrix creates more jobs than the runners can run at once.",
    },
    rationale: "The excess jobs wait, and each job repeats the whole setup: slower than one job that runs the sessions in parallel.",
    evidence: "A Forgejo runner runs 1 job at a time by default (config.example.yaml): a matrix of ten sessions runs one after another and repeats its setup ten times. Reported only with `--runner-capacity`.",
    advice: "Use one job with `noxide run`, or a smaller matrix.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
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
      - run: pip install "git+<URL of noxide>@<commit>"  # brings nox and uv
      - run: noxide run -s a b c d
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    let Some(capacity) = project.options.runner_capacity else { return };
    for view in project.job_views().filter(JobView::has_python_installs) {
        let Some(matrix) = &view.job.matrix else { continue };
        if let Some(jobs) = matrix.job_count.filter(|jobs| *jobs > capacity) {
            let message = format!("{jobs} jobs for runners that can run {capacity} at once, each with its own setup");
            findings.report(view.source(), matrix.key_span, message);
        }
    }
}
