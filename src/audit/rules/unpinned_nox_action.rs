//! NX416: The nox action is used from a branch, which installs an unreleased nox.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX416",
        name: "unpinned-nox-action",
        summary: "The nox action is used from a branch, which installs an unreleased nox.",
    },
    rationale: "The action installs nox from its own repository, at the version after `@`. From `main`, every run gets the current development version, which no release has, and which can change between two runs of one commit.",
    evidence: "The action's own `action.yml`: it installs the directory it was checked out to. NX401 reports other ways to install nox without a version.",
    advice: "Use a release, such as `wntrblm/nox@2026.04.10`, or the commit of one.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".github/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v6
      - uses: wntrblm/nox@main
      - run: nox -s lint
"#,
    )],
    good_example: &[(
        ".github/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v6
      - uses: wntrblm/nox@2026.04.10
      - run: nox -s lint
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        for step in &view.job.steps {
            let (Some(action), Some(uses)) = (&step.action, &step.uses) else { continue };
            let is_nox = action.is_named("wntrblm/nox") || action.is_named("theacodes/nox");
            if is_nox && matches!(action.version.as_str(), "main" | "master") {
                let message = format!("this installs the development version of nox from `{}`", action.version);
                findings.report(view.source(), uses.span, message);
            }
        }
    }
}
