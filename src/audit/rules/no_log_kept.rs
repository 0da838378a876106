//! NX307: A job keeps nothing of what its sessions said.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX307", name: "no-log-kept", summary: "A job keeps nothing of what its sessions said." },
    rationale: "On these forges job logs can hardly be read by a program, and long ones are cut; a job without an upload leaves nothing to look at.",
    evidence: "W20: nightly and release keep no log; #2749 and #2750 asked for it and got it in the other jobs.",
    advice: "Write the output to a file with `tee` and upload it with `if: always()`, or run by noxide, which keeps a log for each session.",
    severity: Severity::Info,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    dialects: &[Dialect::Forgejo, Dialect::Gitea],
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: nox -s tests
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: |
          set -o pipefail
          nox -s tests 2>&1 | tee build/tests.log
      - if: always()
        uses: actions/upload-artifact@v3
        with: {name: log, path: build/tests.log}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views() {
        let Some(call) = view.analysis.nox_calls.first() else { continue };
        let kept = !super::log_not_uploaded::session_log_files(&view).is_empty()
            || view.job.steps.iter().any(|step| {
                step.is_artifact_upload() && runs_after_failure(step.condition.as_ref().map(|text| text.value.as_str()))
            });
        if kept {
            continue;
        }
        let place = view
            .step(call.step_index)
            .and_then(|step| step.node.get_entry("run"))
            .map_or(call.span, |(key, _)| key.span);
        let fix = fixes::log_upload::add_log_upload(&view);
        found
            .report(view.source(), place, format!("job `{}` keeps no log of its sessions", view.job.id.value))
            .set_fix(fix);
    }
}
