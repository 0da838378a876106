//! NX407: workflows lie in a folder that Forgejo does not read.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX407",
        name: "dead-workflow-folder",
        what: "Workflows lie in a folder that Forgejo does not read.",
    },
    why: "Forgejo reads `.github/workflows` only where there is no `.forgejo/workflows`: these never run there, and look as if they did.",
    evidence: "Forgejo's documentation.",
    advice: "Move them, or say by an ignore comment that they are for a mirror on GitHub.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: &[Dialect::Forgejo],
    bad: &[
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
    good: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs: {}
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    let in_folder = |folder: &str| {
        project.workflows.iter().filter(move |workflow| workflow.source.path.starts_with(folder)).collect::<Vec<_>>()
    };
    if in_folder(".forgejo/workflows/").is_empty() {
        return;
    }
    if let Some(workflow) = in_folder(".github/workflows/").first() {
        let message = "Forgejo reads .forgejo/workflows and passes over .github/workflows";
        found.report(&workflow.source, workflow.on.key, message);
    }
}
