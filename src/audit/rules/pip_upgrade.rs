//! NX403: pip is upgraded before it installs.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX403", name: "pip-upgrade", summary: "pip is upgraded before it installs." },
    rationale: "The upgrade costs a download and seconds in every job, although the image already has pip.",
    evidence: "76 of 516 sampled jobs.",
    advice: "Remove the upgrade.",
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
      - run: pip install --upgrade pip
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
    for view in project.job_views() {
        for job_install in
            view.analysis.installs.iter().filter(|job_install| job_install.install.installer == PackageInstaller::Pip)
        {
            let Some(step) = view.step(job_install.step_index) else { continue };
            let upgrades = step.commands.iter().any(|command| {
                command.span == job_install.install.span && (command.has_word("--upgrade") || command.has_word("-U"))
            });
            if let Some(word) = job_install.install.find_package("pip").filter(|_| upgrades) {
                findings.report(view.source(), step.file_span(word.span), "pip is upgraded in every run");
            }
        }
    }
}
