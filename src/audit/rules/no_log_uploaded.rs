//! NX307: A job uploads no log of its sessions.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX307", name: "no-log-uploaded", summary: "A job uploads no log of its sessions." },
    rationale: "On Forgejo and Gitea, job logs are hard for a program to read, and long ones are truncated. Without an upload, there is nothing to inspect.",
    evidence: "Observed: nightly and release upload no log; two issues requested it for the other jobs, where it was added.",
    advice: "Use `noxide ci` and upload its directory: it writes a log per session, in which secrets are masked. In a workflow without secrets, `tee` and an upload with `if: always()` do too: a runner masks secrets in its own log, not in files.",
    severity: Severity::Info,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    forges: &[Forge::Forgejo, Forge::Gitea],
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        let Some(call) = view.analysis.nox_calls.first() else { continue };
        let has_log = !super::log_not_uploaded::session_log_files(&view).is_empty()
            || view.job.steps.iter().any(|step| step.is_artifact_upload() && step.runs_after_failure());
        if has_log {
            continue;
        }
        let span = view
            .step(call.step_index)
            .and_then(|step| step.node.get_entry("run"))
            .map_or(call.span, |(key, _)| key.span);
        let fix = fixes::log_upload::add_log_upload(&view);
        findings
            .report(view.source(), span, format!("job `{}` uploads no log of its sessions", view.job.id.value))
            .set_fix(fix);
    }
}
