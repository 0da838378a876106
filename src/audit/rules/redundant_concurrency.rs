//! NX303: `concurrency` says what Forgejo does anyway.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX303", name: "redundant-concurrency", what: "`concurrency` says what Forgejo does anyway." },
    why: "One more block to keep right, and it changes what is cancelled once someone edits it.",
    evidence: "Forgejo's reference (2025-10-05): push and pull request runs without `concurrency` are cancelled when superseded.",
    advice: "Leave it out on a Forgejo that does so (`--forge-version`).",
    severity: Severity::Info,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
    dialects: &[Dialect::Forgejo],
    bad: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
concurrency:
  group: ${{ github.workflow }}-${{ github.ref }}
  cancel-in-progress: true
jobs: {}
"#,
    )],
    good: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs: {}
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    for workflow in &project.workflows {
        let Some((key, value)) = workflow.root.entry("concurrency") else { continue };
        let same = value.get("cancel-in-progress").and_then(|node| node.text()) == Some("true")
            && value
                .get("group")
                .and_then(|node| node.text())
                .is_none_or(|group| group.contains("ref") && group.contains("workflow"));
        if same && project.options.at_least(13, 0) {
            found.report(&workflow.source, key.span, "this Forgejo does so by itself");
        }
    }
}
