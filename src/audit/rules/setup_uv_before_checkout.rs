//! NX104: `setup-uv` with a cache runs before the checkout.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX104",
        name: "setup-uv-before-checkout",
        summary: "`setup-uv` with a cache runs before the checkout.",
    },
    rationale: "Its cache key hashes the project's lock file. Before the checkout there is no file to hash, so the key never changes.",
    evidence: "Found in a real Forgejo workflow. Low severity where the job installs nothing from the project's files: it only installs tools by name.",
    advice: "Move the checkout before `setup-uv`.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: astral-sh/setup-uv@v9
        with: {enable-cache: true}
      - uses: actions/checkout@v4
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
      - uses: astral-sh/setup-uv@v9
        with: {enable-cache: true}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        let Some(checkout) = view.job.steps.iter().find(|step| step.uses_action("actions/checkout")) else { continue };
        for step in view.job.steps.iter().take(checkout.index).filter(|step| step.uses_action("astral-sh/setup-uv")) {
            let disabled = step.input_value("enable-cache").is_some_and(|text| text.value == "false");
            if let (Some(uses), false) = (&step.uses, disabled) {
                let finding = findings.report(
                    view.source(),
                    uses.span,
                    "`setup-uv` runs before the files that its key hashes are checked out",
                );
                finding.add_related(view.source(), checkout.span, "checked out here");
                if installs_tools_only(&view) {
                    finding.set_severity(Severity::Low);
                }
                finding.fix =
                    fixes::step_edit::move_step(&view, checkout.index, step.index, "move the checkout before setup-uv");
            }
        }
    }
}

/// Whether the job installs something, and only tools by name, which no file of the project determines.
fn installs_tools_only(view: &JobView) -> bool {
    let is_project = |text: &str| text.starts_with(['.', '/', '$', '-']);
    !view.analysis.installs.is_empty()
        && view.analysis.nox_calls.is_empty()
        && view.analysis.installs.iter().all(|job_install| {
            let install = &job_install.install;
            install.installer == PackageInstaller::Uv
                && install.subcommand == "tool"
                && install.requirement_files.is_empty()
                && !install.packages.iter().any(|word| is_project(&word.text))
        })
}
