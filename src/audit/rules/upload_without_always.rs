//! NX304: A report or log is uploaded only when all earlier steps succeed.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX304",
        name: "upload-without-always",
        summary: "A report or log is uploaded only when all earlier steps succeed.",
    },
    rationale: "It is missing exactly when it is needed.",
    evidence: "57 steps in 35 % of sampled repositories.",
    advice: "Add `if: always()`, or `if: ${{ !cancelled() }}`.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: nox -s tests 2>&1 | tee build/tests.log
      - uses: actions/upload-artifact@v3
        with: {name: log, path: build/tests.log}
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: nox -s tests 2>&1 | tee build/tests.log
      - if: always()
        uses: actions/upload-artifact@v3
        with: {name: log, path: build/tests.log}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        let Some(first) = view.analysis.nox_calls.first() else { continue };
        for step in view.job.steps.iter().filter(|step| step.index > first.step_index && step.is_artifact_upload()) {
            let path = step.input_value("path").map(|text| text.value.to_lowercase()).unwrap_or_default();
            let is_report = ["log", "report", "coverage", "htmlcov", "junit", "results", ".xml", "output"]
                .iter()
                .any(|part| path.contains(part));
            if is_report && !step.runs_after_failure() {
                let fix =
                    if step.condition.is_none() { fixes::step_edit::add_always_condition(&view, step) } else { None };
                let finding = findings.report(view.source(), step.span, "not uploaded when a session fails");
                finding.set_fix(fix);
            }
        }
    }
}
