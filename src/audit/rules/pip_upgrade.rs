//! NX403: pip is upgraded before it installs.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX403", name: "pip-upgrade", what: "pip is upgraded before it installs." },
    why: "It costs a download and seconds in every job, for a pip that the image had.",
    evidence: "76 of 516 sampled jobs.",
    advice: "Leave it out.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
    dialects: EVERYWHERE,
    bad: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: pip install --upgrade pip
"#,
    )],
    good: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: pip install nox
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs() {
        for installed in view.survey.installs.iter().filter(|installed| installed.install.by == Installer::Pip) {
            let Some(step) = view.step(installed.step) else { continue };
            let upgrades = step.commands.iter().any(|command| {
                command.span == installed.install.span && (command.has("--upgrade") || command.has("-U"))
            });
            if let Some(word) = installed.install.package("pip").filter(|_| upgrades) {
                found.report(view.source(), step.place(word.span), "pip is upgraded in every run");
            }
        }
    }
}
