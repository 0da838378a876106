//! NX410: `continue-on-error` of a job is ignored.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX410", name: "job-continue-on-error", what: "`continue-on-error` of a job is ignored." },
    why: "On Forgejo the job fails the workflow all the same; the line only looks as if it did not.",
    evidence: "Forgejo's documentation: the key is read and ignored.",
    advice: "Set it at the step, which is honoured.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: &[Dialect::Forgejo],
    bad: &[(
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
    good: &[(
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
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs() {
        if view.job.continue_on_error.as_ref().is_some_and(|text| text.value != "false") {
            found.report(
                view.source(),
                view.job.key("continue-on-error"),
                "Forgejo ignores this: the job fails the workflow all the same",
            );
        }
    }
}
