//! NX106: A cache is switched off by hand.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX106", name: "cache-disabled", summary: "A cache is switched off by hand." },
    rationale: "`enable-cache: false` and `--no-cache-dir` make sense inside an image that is kept; in a job they only cost downloads.",
    evidence: "18 of 516 sampled jobs switch setup-uv's cache off, 4 call pip with `--no-cache-dir`.",
    advice: "Leave it out, unless the job hands out what it makes.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
    dialects: ALL_DIALECTS,
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

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views().filter(|view| !view.is_release()) {
        for step in &view.job.steps {
            let input = step
                .input_value("enable-cache")
                .filter(|text| text.value == "false" && step.uses_action("astral-sh/setup-uv"));
            if let Some(text) = input {
                found.report(view.source(), text.span, "setup-uv's cache is switched off");
            }
            for command in step.commands.iter().filter(|command| crate::audit::shell::parse_install(command).is_some())
            {
                if let Some(word) =
                    command.words.iter().find(|word| word.text == "--no-cache-dir" || word.text == "--no-cache")
                {
                    found.report(view.source(), step.file_span(word.span), "this installation may not use a cache");
                }
            }
        }
    }
}
