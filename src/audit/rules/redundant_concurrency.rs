//! NX303: `concurrency` repeats Forgejo's default.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX303",
        name: "redundant-concurrency",
        summary: "`concurrency` repeats Forgejo's default.",
    },
    rationale: "It does nothing, has to be maintained, and may later differ from the default by mistake.",
    evidence: "Forgejo's reference (2025-10-05): superseded push and pull request runs without `concurrency` are cancelled.",
    advice: "Remove it. Reported only with `--forge-version 13` or later: older versions of Forgejo do not cancel superseded runs by default.",
    severity: Severity::Info,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
    forges: &[Forge::Forgejo],
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for workflow in &project.workflows {
        let Some((key, value)) = workflow.root.get_entry("concurrency") else { continue };
        let is_default = value.get("cancel-in-progress").and_then(|node| node.as_str()) == Some("true")
            && value
                .get("group")
                .and_then(|node| node.as_str())
                .is_none_or(|group| group.contains("ref") && group.contains("workflow"));
        if is_default && project.options.is_forge_at_least(13, 0) {
            findings.report(&workflow.source, key.span, "this Forgejo version cancels superseded runs by default");
        }
    }
}
