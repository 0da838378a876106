//! NX413: A download without a second try.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX413", name: "network-without-retry", summary: "A download without a second try." },
    rationale: "One hiccup of a mirror fails the run.",
    evidence: "W25: #9767.",
    advice: "`curl --retry 3`, `apt-get -o Acquire::Retries=3`, or a loop.",
    severity: Severity::Info,
    confidence: Confidence::Low,
    persona: Persona::Pedantic,
    dialects: ALL_DIALECTS,
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

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views() {
        let mut seen = None;
        for (index, fetch, place) in &view.analysis.network_fetches {
            let Some(step) = view.step(*index) else { continue };
            let command = step.commands.iter().find(|command| command.span == fetch.span);
            let tries = command.is_some_and(|command| {
                command.command_line().to_lowercase().contains("retr") || command.enclosing_loop.is_some()
            });
            if !tries && seen != Some(*place) {
                seen = Some(*place);
                found.report(view.source(), *place, "one failing download fails the run");
            }
        }
    }
}
