//! NX402: uv is installed without a pinned version.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX402", name: "unpinned-uv", summary: "uv is installed without a pinned version." },
    rationale: "The resolver and the cache layout can change at any time; `setup-uv` without a version also queries the network for the latest one.",
    evidence: "Observed: `pip install uv nox` in nightly, 0.8.0 in all other jobs. 64 % of sampled repositories with setup-uv set no version. Pedantic unless the same command or another step or job pins something, and in workflows that only a schedule starts. Not reported for setup-uv where a comment beside such a step says that the version floats. Not reported for setup-uv where the project has a `required-version` of uv, which the action reads.",
    advice: "Pin it: `uv==…`, or set `version:` of setup-uv.",
    severity: Severity::Low,
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
    let is_setup = |step: &&WorkflowStep| step.uses_action("astral-sh/setup-uv");
    let is_pinned =
        |view: &JobView, step: &WorkflowStep| has_pinned_version(step) && !is_undefined_variable(view, step);
    let has_pin_in_project =
        project.job_views().any(|view| view.job.steps.iter().filter(is_setup).any(|step| is_pinned(&view, step)))
            || project.job_views().any(|view| {
                let packages = view.analysis.installs.iter().flat_map(|job_install| &job_install.install.packages);
                packages.into_iter().any(|word| word.text.starts_with("uv=="))
            });
    let is_deliberate = project
        .job_views()
        .any(|view| view.job.steps.iter().filter(is_setup).any(|step| is_said_to_float(&view, step)));
    for view in project.job_views() {
        let only_scheduled = view.workflow.triggers.is_scheduled_only();
        for step in view.job.steps.iter().filter(is_setup).filter(|_| !is_deliberate) {
            // Without `version`, the action reads the version that the project requires.
            let is_required = step.input_value("version").is_none() && project.files.requires_uv_version;
            if let (false, false, Some(uses)) = (has_pinned_version(step), is_required, &step.uses) {
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
                finding.set_fix(fix);
                if !has_pin_in_project || only_scheduled {
                    finding.set_persona(Persona::Pedantic);
                }
            }
        }
        for (step_index, fetch, span) in &view.analysis.network_fetches {
            let is_installer =
                fetch.resource.ends_with("/uv/install.sh") || fetch.resource.ends_with("/uv/install.ps1");
            let is_chosen = view.workflow.resolve_variable(view.job, view.step(*step_index), "UV_VERSION").is_some();
            if is_installer && !is_chosen {
                let finding = findings.report(view.source(), *span, "the script installs the latest uv");
                finding.set_advice("Put the version into the URL: `…/uv/VERSION/install.sh`.");
                if !has_pin_in_project {
                    finding.set_persona(Persona::Pedantic);
                }
            }
        }
    }
}

/// Whether a comment directly above a step or in it says that the version of uv floats on purpose.
fn is_said_to_float(view: &JobView, step: &WorkflowStep) -> bool {
    let source = view.source();
    let (first, last) = (source.line_index(step.span.start), source.line_index(step.span.end));
    let is_comment = |line: usize| source.line_text(line).trim_start().starts_with('#');
    let above = (0..first).rev().take_while(|line| is_comment(*line));
    let comments = above.chain(first..=last).filter_map(|line| source.line_text(line).split_once('#'));
    let text = comments.map(|(_, comment)| comment.to_lowercase()).collect::<Vec<_>>().join(" ");
    ["float", "latest", "unpinned", "not pinned"].iter().any(|word| text.contains(word))
}

/// Whether the version is a variable that the workflow does not define, and so empty: the latest.
fn is_undefined_variable(view: &JobView, step: &WorkflowStep) -> bool {
    let value = step.input_value("version").map_or("", |text| text.value.trim());
    let name = value.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}")).map(str::trim);
    let name = name.and_then(|name| name.strip_prefix("env."));
    let sets_variables = view.source().text.contains("GITHUB_ENV");
    name.is_some_and(|name| !sets_variables && view.workflow.resolve_variable(view.job, Some(step), name).is_none())
}

/// Whether a step of setup-uv chooses a version.
fn has_pinned_version(step: &WorkflowStep) -> bool {
    let is_latest = |text: &SpannedText| matches!(text.value.as_str(), "latest" | "*" | "");
    let version = step.input_value("version").filter(|text| !is_latest(text));
    version.is_some() || step.input_value("version-file").is_some()
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
