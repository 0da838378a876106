//! NX402: uv is installed without a pinned version.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX402", name: "unpinned-uv", summary: "uv is installed without a pinned version." },
    rationale: "The resolver and the cache layout can change at any time; `setup-uv` without a version also queries the network for the latest one.",
    evidence: "Observed: `pip install uv nox` in nightly, 0.8.0 in all other jobs. 64 % of sampled repositories with setup-uv set no version. Pedantic unless the same command or another job pins something.",
    advice: "Pin it: `uv==…`, or set `version:` of setup-uv.",
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
      - run: pip install nox==2026.10.20 uv
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: pip install nox==2026.10.20 uv==0.13.9
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    report_unpinned_installs(project, findings, "uv");
    for view in project.job_views() {
        for step in view.job.steps.iter().filter(|step| step.uses_action("astral-sh/setup-uv")) {
            let is_pinned = ["version", "version-file"].iter().any(|name| step.input_value(name).is_some());
            if let (false, Some(uses)) = (is_pinned, &step.uses) {
                let version = project.files.locked_versions.get("uv").map(|version| format!("\"{version}\""));
                let fix = version.and_then(|version| {
                    fixes::step_edit::set_action_input(
                        &view,
                        step,
                        "version",
                        &version,
                        "pin uv to the version in the lock file",
                    )
                });
                let finding = findings.report(view.source(), uses.span, "`setup-uv` installs the latest uv");
                finding.set_fix(fix).set_persona(Persona::Pedantic);
            }
        }
    }
}

/// Whether the project pins the tool in another job, or another tool in the same command: then the missing pin is an
/// oversight rather than a choice.
fn is_pinned_nearby(view: &JobView, install: &crate::audit::shell::PackageInstall, tool: &str) -> bool {
    let prefix = format!("{tool}==");
    let in_other_job = view.project.job_views().any(|other| {
        let packages = other.analysis.installs.iter().flat_map(|job_install| &job_install.install.packages);
        packages.into_iter().any(|word| word.text.starts_with(&prefix))
    });
    in_other_job || install.packages.iter().any(|word| word.text.contains("=="))
}

/// Reports each install of a tool without a pinned version.
pub(super) fn report_unpinned_installs(project: &AuditProject, findings: &mut FindingSink, tool: &str) {
    for view in project.job_views() {
        for job_install in view
            .analysis
            .installs
            .iter()
            .filter(|job_install| job_install.install.subcommand != "run" && !job_install.install.has_constraints)
        {
            let word = job_install
                .install
                .find_package(tool)
                .filter(|word| !word.text.contains("==") && !word.text.contains('@'));
            if let (Some(word), Some(step)) = (word, view.step(job_install.step_index)) {
                let span = step.file_span(word.span);
                let fix = fixes::run_script::pin_tool_version(&view, step, word, tool);
                let finding = findings.report(view.source(), span, format!("{tool} is not pinned"));
                finding.set_fix(fix);
                if !is_pinned_nearby(&view, &job_install.install, tool) {
                    finding.set_persona(Persona::Pedantic);
                }
            }
        }
    }
}
