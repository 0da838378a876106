//! NX408: A key is not part of Forgejo's workflow schema.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX408",
        name: "unknown-workflow-key",
        summary: "A key is not part of Forgejo's workflow schema.",
    },
    rationale: "Since runner 8.0.0 the schema is strict: a single unknown key prevents the whole workflow from running.",
    evidence: "The runner's schema of December 2025. GitHub's `parallel`, `background` and `cache-mode` are unknown there.",
    advice: "Correct or remove the key.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: &[Forge::Forgejo],
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for workflow in &project.workflows {
        for error in crate::audit::forgejo_schema::validate_workflow(workflow) {
            findings.report(&workflow.source, error.span, error.message);
        }
    }
}
