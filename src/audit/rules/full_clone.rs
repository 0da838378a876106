//! NX406: the checkout fetches the whole history.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX406", name: "full-clone", what: "The checkout fetches the whole history." },
    why: "With a long history it takes longer than some sessions.",
    evidence: "102 of 516 sampled jobs, some of which need it for a version taken from tags.",
    advice: "Leave `fetch-depth` out where no version comes from git.",
    severity: Severity::Info,
    confidence: Confidence::Medium,
    persona: Persona::Pedantic,
    dialects: EVERYWHERE,
    bad: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/checkout@v4
        with: {fetch-depth: 0}
"#,
    )],
    good: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/checkout@v4
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    if project.files.version_from_git {
        return;
    }
    for view in project.jobs().filter(|view| !view.hands_out()) {
        for step in view.job.steps.iter().filter(|step| step.is("actions/checkout")) {
            // A comment beside it says why.
            let said = |text: &&Text| view.source().line(view.source().line_of(text.span.start)).contains(" #");
            if let Some(text) = step.input("fetch-depth").filter(|text| text.value == "0" && !said(text)) {
                found.report(view.source(), text.span, "the whole history is fetched");
            }
        }
    }
}
