//! NX408: A key that Forgejo's schema does not know.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX408", name: "unknown-key", summary: "A key that Forgejo's schema does not know." },
    rationale: "Since runner 8.0.0 the schema is strict: one unknown key, and the workflow does not run at all.",
    evidence: "W26; the schema of the runner of December 2025. `parallel`, `background` and `cache-mode` of GitHub are unknown there.",
    advice: "Correct or remove it.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: &[Dialect::Forgejo],
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs_on: docker
    steps:
      - run: nox -s lint
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: nox -s lint
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for workflow in &project.workflows {
        for fault in crate::audit::forgejo_schema::validate_workflow(workflow) {
            found.report(&workflow.source, fault.span, fault.message);
        }
    }
}
