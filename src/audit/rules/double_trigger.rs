//! NX208: each commit of a pull request runs twice.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX208", name: "double-trigger", summary: "Each commit of a pull request runs twice." },
    rationale: "`push` without branches and `pull_request` both start for it.",
    evidence: "16 of 138 sampled workflows.",
    advice: "Narrow `push` to the main branches.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
    dialects: ALL_DIALECTS,
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

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for workflow in &project.workflows {
        let on = &workflow.triggers;
        let open = on.has_event("push")
            && !["branches", "branches-ignore", "tags", "tags-ignore"].iter().any(|key| on.has_filter("push", key));
        if let (true, true, Some(place)) = (open, on.runs_on_pull_request(), on.event_span("push")) {
            found.report(
                &workflow.source,
                place,
                "a commit of a pull request starts this twice: as push and as pull request",
            );
        }
    }
}
