//! NX402: uv is installed without a version.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX402", name: "unpinned-uv", summary: "uv is installed without a version." },
    rationale: "The resolver, and the layout of the cache, change on a day that nobody chose; `setup-uv` without a version also asks the network for the newest one.",
    evidence: "W11: `pip install uv nox` in nightly, 0.8.0 everywhere else. 64 % of sampled repositories with setup-uv name no version.",
    advice: "Pin it: `uv==…`, or `version:` of setup-uv.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: pip install uv
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: pip install uv==0.13.9
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    report_unpinned_installs(project, found, "uv");
    for view in project.job_views() {
        for step in view.job.steps.iter().filter(|step| step.uses_action("astral-sh/setup-uv")) {
            let said = ["version", "version-file"].iter().any(|name| step.input_value(name).is_some());
            if let (false, Some(uses)) = (said, &step.uses) {
                let version = project.files.locked_versions.get("uv").map(|version| format!("\"{version}\""));
                let fix = version.and_then(|version| {
                    fixes::step_edit::set_action_input(&view, step, "version", &version, "pin uv to the lock's version")
                });
                let finding = found.report(view.source(), uses.span, "setup-uv takes the newest uv of the day");
                finding.set_fix(fix).set_persona(Persona::Pedantic);
            }
        }
    }
}

/// Reports each installation of a tool that names no version.
pub(super) fn report_unpinned_installs(project: &AuditProject, found: &mut FindingSink, tool: &str) {
    for view in project.job_views() {
        for installed in view
            .analysis
            .installs
            .iter()
            .filter(|installed| installed.install.subcommand != "run" && !installed.install.has_constraints)
        {
            let word = installed
                .install
                .find_package(tool)
                .filter(|word| !word.text.contains("==") && !word.text.contains('@'));
            if let (Some(word), Some(step)) = (word, view.step(installed.step_index)) {
                let place = step.file_span(word.span);
                let fix = fixes::run_script::pin_tool_version(&view, step, word, tool);
                found.report(view.source(), place, format!("{tool} without a version")).set_fix(fix);
            }
        }
    }
}
