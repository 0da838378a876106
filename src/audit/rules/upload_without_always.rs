//! NX304: A report or log is uploaded only when everything before it passed.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX304",
        name: "upload-without-always",
        what: "A report or log is uploaded only when everything before it passed.",
    },
    why: "It is missing exactly when it is needed.",
    evidence: "57 steps in 35 % of sampled repositories; W20.",
    advice: "Add `if: always()`, or `if: ${{ !cancelled() }}`.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: EVERYWHERE,
    bad: &[(
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
    good: &[(
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
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs() {
        let Some(first) = view.survey.calls.first() else { continue };
        for step in view.job.steps.iter().filter(|step| step.index > first.step && step.is_upload()) {
            let path = step.input("path").map(|text| text.value.to_lowercase()).unwrap_or_default();
            let report = ["log", "report", "coverage", "htmlcov", "junit", "results", ".xml", "output"]
                .iter()
                .any(|part| path.contains(part));
            let condition = step.condition.as_ref().map(|text| text.value.as_str());
            if report && !runs_after_failure(condition) {
                let fix = if condition.is_none() { fixes::step::add_always(&view, step) } else { None };
                let finding = found.report(view.source(), step.span, "not uploaded when a session fails");
                finding.fix(fix);
            }
        }
    }
}
