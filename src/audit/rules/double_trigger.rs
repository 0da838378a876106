//! NX208: each commit of a pull request runs twice.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX208", name: "double-trigger", what: "Each commit of a pull request runs twice." },
    why: "`push` without branches and `pull_request` both start for it.",
    evidence: "16 of 138 sampled workflows.",
    advice: "Narrow `push` to the main branches.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
    dialects: EVERYWHERE,
    bad: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: [push, pull_request]
jobs: {}
"#,
    )],
    good: &[(
        ".forgejo/workflows/ci.yml",
        r#"on:
  push:
    branches: [main]
  pull_request:
jobs: {}
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    for workflow in &project.workflows {
        let on = &workflow.on;
        let open = on.has("push")
            && !["branches", "branches-ignore", "tags", "tags-ignore"].iter().any(|key| on.narrowed("push", key));
        if let (true, true, Some(place)) = (open, on.on_pulls(), on.place("push")) {
            found.report(
                &workflow.source,
                place,
                "a commit of a pull request starts this twice: as push and as pull request",
            );
        }
    }
}
