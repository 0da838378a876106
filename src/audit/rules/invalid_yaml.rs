//! NX001: A workflow file is not a valid YAML document.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX001", name: "invalid-yaml", summary: "A workflow file is not a valid YAML document." },
    rationale: "The forge rejects the whole file: the run fails after 0 seconds, or no run appears at all.",
    evidence: "A broken `ci.yml` showed only \"failing after 0s\" in the list of checks.",
    advice: "Correct the YAML syntax. noxide applies no fix to a file that it cannot parse.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"jobs:
  a: [1
  b: 2
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
    for (source, error) in &project.parse_failures {
        let at = error.byte_offset();
        findings.report(source, Span::new(at, at), error.to_string());
    }
}
