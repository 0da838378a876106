//! NX410: Forgejo ignores `continue-on-error` of a job.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX410",
        name: "job-continue-on-error",
        summary: "Forgejo ignores `continue-on-error` of a job.",
    },
    rationale: "The job still fails the workflow, although the key suggests otherwise.",
    evidence: "Forgejo's documentation: the key is read and ignored.",
    advice: "Set it on the step, where Forgejo supports it.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: &[Forge::Forgejo],
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        if view.job.continue_on_error.as_ref().is_some_and(|text| text.value != "false") {
            findings.report(
                view.source(),
                view.job.key_span("continue-on-error"),
                "Forgejo ignores this key: the job still fails the workflow",
            );
        }
    }
}
