//! NX408: A key that Forgejo's schema does not know.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX408", name: "unknown-key", what: "A key that Forgejo's schema does not know." },
    why: "Since runner 8.0.0 the schema is strict: one unknown key, and the workflow does not run at all.",
    evidence: "W26; the schema of the runner of December 2025. `parallel`, `background` and `cache-mode` of GitHub are unknown there.",
    advice: "Correct or remove it.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: &[Dialect::Forgejo],
    bad: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs_on: docker
    steps:
      - run: nox -s lint
"#,
    )],
    good: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: nox -s lint
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    for workflow in &project.workflows {
        for fault in crate::audit::schema::check(workflow) {
            found.report(&workflow.source, fault.span, fault.message);
        }
    }
}
