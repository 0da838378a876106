//! NX208: Every commit of a pull request runs the workflow twice.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX208",
        name: "double-trigger",
        summary: "Every commit of a pull request runs the workflow twice.",
    },
    rationale: "Both `push` without a branch filter and `pull_request` start it.",
    evidence: "16 of 138 sampled workflows.",
    advice: "Limit `push` to the main branches.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
    forges: ALL_FORGES,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: [push, pull_request]
jobs: {}
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on:
  push:
    branches: [main]
  pull_request:
jobs: {}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for workflow in &project.workflows {
        let on = &workflow.triggers;
        let is_unfiltered = on.has_event("push")
            && !["branches", "branches-ignore", "tags", "tags-ignore"].iter().any(|key| on.has_filter("push", key));
        if let (true, true, Some(span)) = (is_unfiltered, on.runs_on_pull_request(), on.event_span("push")) {
            findings.report(
                &workflow.source,
                span,
                "a commit of a pull request starts this workflow twice: by push and by pull request",
            );
        }
    }
}
