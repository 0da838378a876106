//! NX406: The checkout fetches the full history.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX406", name: "full-clone", summary: "The checkout fetches the full history." },
    rationale: "With a long history this takes longer than some sessions.",
    evidence: "102 of 516 sampled jobs, some of which need it for a version taken from tags.",
    advice: "Remove `fetch-depth: 0` where no version is computed from Git.",
    severity: Severity::Info,
    confidence: Confidence::Medium,
    persona: Persona::Pedantic,
    forges: ALL_FORGES,
    bad_example: &[(
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
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/checkout@v4
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    if project.files.version_from_git {
        return;
    }
    for view in project.job_views().filter(|view| !view.is_release()) {
        for step in view.job.steps.iter().filter(|step| step.uses_action("actions/checkout")) {
            // A comment on the line is assumed to explain the full clone.
            let is_explained =
                |text: &&SpannedText| view.source().line_text(view.source().line_index(text.span.start)).contains(" #");
            if let Some(text) = step.input_value("fetch-depth").filter(|text| text.value == "0" && !is_explained(text))
            {
                findings.report(view.source(), text.span, "the full history is fetched");
            }
        }
    }
}
