//! NX413: A download is not retried.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX413", name: "network-without-retry", summary: "A download is not retried." },
    rationale: "A short outage of a mirror fails the run.",
    evidence: "Reported in one issue.",
    advice: "Use `curl --retry 3`, `apt-get -o Acquire::Retries=3`, or a loop.",
    severity: Severity::Info,
    confidence: Confidence::Low,
    persona: Persona::Pedantic,
    forges: ALL_FORGES,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: apt-get install -y nodejs
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: apt-get -o Acquire::Retries=3 install -y nodejs
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        let mut seen = None;
        for (index, fetch, span) in &view.analysis.network_fetches {
            let Some(step) = view.step(*index) else { continue };
            let command = step.commands.iter().find(|command| command.span == fetch.span);
            let is_retried = command.is_some_and(|command| {
                command.command_line().to_lowercase().contains("retr") || command.enclosing_loop.is_some()
            });
            if !is_retried && seen != Some(*span) {
                seen = Some(*span);
                findings.report(view.source(), *span, "a single failed download fails the run");
            }
        }
    }
}
