//! NX303: `concurrency` says what Forgejo does anyway.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX303",
        name: "redundant-concurrency",
        summary: "`concurrency` says what Forgejo does anyway.",
    },
    rationale: "One more block to keep right, and it changes what is cancelled once someone edits it.",
    evidence: "Forgejo's reference (2025-10-05): push and pull request runs without `concurrency` are cancelled when superseded.",
    advice: "Leave it out on a Forgejo that does so (`--forge-version`).",
    severity: Severity::Info,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
    dialects: &[Dialect::Forgejo],
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
concurrency:
  group: ${{ github.workflow }}-${{ github.ref }}
  cancel-in-progress: true
jobs: {}
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs: {}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for workflow in &project.workflows {
        let Some((key, value)) = workflow.root.get_entry("concurrency") else { continue };
        let same = value.get("cancel-in-progress").and_then(|node| node.as_str()) == Some("true")
            && value
                .get("group")
                .and_then(|node| node.as_str())
                .is_none_or(|group| group.contains("ref") && group.contains("workflow"));
        if same && project.options.is_forge_at_least(13, 0) {
            found.report(&workflow.source, key.span, "this Forgejo does so by itself");
        }
    }
}
