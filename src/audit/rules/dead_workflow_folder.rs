//! NX407: workflows lie in a folder that Forgejo does not read.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX407",
        name: "dead-workflow-folder",
        summary: "Workflows lie in a folder that Forgejo does not read.",
    },
    rationale: "Forgejo reads `.github/workflows` only where there is no `.forgejo/workflows`: these never run there, and look as if they did.",
    evidence: "Forgejo's documentation.",
    advice: "Move them, or say by an ignore comment that they are for a mirror on GitHub.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: &[Dialect::Forgejo],
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

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    let in_folder = |folder: &str| {
        project.workflows.iter().filter(move |workflow| workflow.source.path.starts_with(folder)).collect::<Vec<_>>()
    };
    if in_folder(".forgejo/workflows/").is_empty() {
        return;
    }
    if let Some(workflow) = in_folder(".github/workflows/").first() {
        let message = "Forgejo reads .forgejo/workflows and passes over .github/workflows";
        found.report(&workflow.source, workflow.triggers.key_span, message);
    }
}
