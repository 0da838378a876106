//! NX413: A download without a second try.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX413", name: "network-without-retry", what: "A download without a second try." },
    why: "One hiccup of a mirror fails the run.",
    evidence: "W25: #9767.",
    advice: "`curl --retry 3`, `apt-get -o Acquire::Retries=3`, or a loop.",
    severity: Severity::Info,
    confidence: Confidence::Low,
    persona: Persona::Pedantic,
    dialects: EVERYWHERE,
    bad: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: apt-get install -y nodejs
"#,
    )],
    good: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: apt-get -o Acquire::Retries=3 install -y nodejs
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs() {
        let mut seen = None;
        for (index, fetch, place) in &view.survey.fetches {
            let Some(step) = view.step(*index) else { continue };
            let command = step.commands.iter().find(|command| command.span == fetch.span);
            let tries = command
                .is_some_and(|command| command.line().to_lowercase().contains("retr") || command.around.is_some());
            if !tries && seen != Some(*place) {
                seen = Some(*place);
                found.report(view.source(), *place, "one failing download fails the run");
            }
        }
    }
}
