//! NX106: A package cache is turned off explicitly.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX106", name: "cache-disabled", summary: "A package cache is turned off explicitly." },
    rationale: "`enable-cache: false` and `--no-cache-dir` keep an image small. In a CI job they only cause repeated downloads.",
    evidence: "18 of 516 sampled jobs turn off the cache of setup-uv; 4 call pip with `--no-cache-dir`.",
    advice: "Remove the option, unless the job publishes what it builds.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
    forges: ALL_FORGES,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: pip install --no-cache-dir nox
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: pip install nox
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views().filter(|view| !view.is_release()) {
        for step in &view.job.steps {
            let input = step
                .input_value("enable-cache")
                .filter(|text| text.value == "false" && step.uses_action("astral-sh/setup-uv"));
            if let Some(text) = input {
                findings.report(view.source(), text.span, "the cache of `setup-uv` is turned off");
            }
            for command in step.commands.iter().filter(|command| crate::audit::shell::parse_install(command).is_some())
            {
                if let Some(word) =
                    command.words.iter().find(|word| word.text == "--no-cache-dir" || word.text == "--no-cache")
                {
                    findings.report(view.source(), step.file_span(word.span), "this install does not use a cache");
                }
            }
        }
    }
}
