//! NX407: Workflows are in a directory that Forgejo ignores.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX407",
        name: "ignored-workflow-directory",
        summary: "Workflows are in a directory that Forgejo ignores.",
    },
    rationale: "Forgejo reads `.github/workflows` only if there is no `.forgejo/workflows`: these workflows look active but never run there.",
    evidence: "Forgejo's documentation.",
    advice: "Move them, or note in an ignore comment that they are for a mirror on GitHub.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: &[Forge::Forgejo],
    bad_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs: {}
"#,
        ),
        (
            ".github/workflows/ci.yml",
            r#"on: push
jobs: {}
"#,
        ),
    ],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs: {}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    let in_directory = |directory: &str| {
        project.workflows.iter().filter(move |workflow| workflow.source.path.starts_with(directory)).collect::<Vec<_>>()
    };
    if in_directory(".forgejo/workflows/").is_empty() {
        return;
    }
    if let Some(workflow) = in_directory(".github/workflows/").first() {
        let message = "Forgejo reads .forgejo/workflows and ignores .github/workflows";
        findings.report(&workflow.source, workflow.triggers.key_span, message);
    }
}
