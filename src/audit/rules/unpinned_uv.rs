//! NX402: uv is installed without a version.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX402", name: "unpinned-uv", what: "uv is installed without a version." },
    why: "The resolver, and the layout of the cache, change on a day that nobody chose; `setup-uv` without a version also asks the network for the newest one.",
    evidence: "W11: `pip install uv nox` in nightly, 0.8.0 everywhere else. 64 % of sampled repositories with setup-uv name no version.",
    advice: "Pin it: `uv==…`, or `version:` of setup-uv.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: EVERYWHERE,
    bad: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: pip install uv
"#,
    )],
    good: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: pip install uv==0.13.9
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    unpinned(project, found, "uv");
    for view in project.jobs() {
        for step in view.job.steps.iter().filter(|step| step.is("astral-sh/setup-uv")) {
            let said = ["version", "version-file"].iter().any(|name| step.input(name).is_some());
            if let (false, Some(uses)) = (said, &step.uses) {
                let version = project.files.versions.get("uv").map(|version| format!("\"{version}\""));
                let fix = version.and_then(|version| {
                    fixes::step::set_input(&view, step, "version", &version, "pin uv to the lock's version")
                });
                let finding = found.report(view.source(), uses.span, "setup-uv takes the newest uv of the day");
                finding.fix(fix).persona(Persona::Pedantic);
            }
        }
    }
}

/// Reports each installation of a tool that names no version.
pub(super) fn unpinned(project: &Project, found: &mut Found, tool: &str) {
    for view in project.jobs() {
        for installed in view
            .survey
            .installs
            .iter()
            .filter(|installed| installed.install.verb != "run" && !installed.install.constrained)
        {
            let word =
                installed.install.package(tool).filter(|word| !word.text.contains("==") && !word.text.contains('@'));
            if let (Some(word), Some(step)) = (word, view.step(installed.step)) {
                let place = step.place(word.span);
                let fix = fixes::shell::pin(&view, step, word, tool);
                found.report(view.source(), place, format!("{tool} without a version")).fix(fix);
            }
        }
    }
}
