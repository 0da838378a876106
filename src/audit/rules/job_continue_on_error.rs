//! NX410: `continue-on-error` of a job is ignored.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX410",
        name: "job-continue-on-error",
        summary: "`continue-on-error` of a job is ignored.",
    },
    rationale: "On Forgejo the job fails the workflow all the same; the line only looks as if it did not.",
    evidence: "Forgejo's documentation: the key is read and ignored.",
    advice: "Set it at the step, which is honoured.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: &[Dialect::Forgejo],
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    continue-on-error: true
    steps:
      - run: nox -s lint
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: nox -s lint
        continue-on-error: true
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views() {
        if view.job.continue_on_error.as_ref().is_some_and(|text| text.value != "false") {
            found.report(
                view.source(),
                view.job.key_span("continue-on-error"),
                "Forgejo ignores this: the job fails the workflow all the same",
            );
        }
    }
}
