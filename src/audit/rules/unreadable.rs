//! NX001: A workflow file is not one readable YAML document.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX001", name: "unreadable", summary: "A workflow file is not one readable YAML document." },
    rationale: "The forge refuses the whole file: the run is red after 0 seconds, or no run appears at all.",
    evidence: "W26: a broken `ci.yml` of the users' own pipeline showed only \"failing after 0s\" in its check list.",
    advice: "Mend the YAML; noxide fixes nothing in a file that it cannot read.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
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

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for (source, error) in &project.parse_failures {
        let at = error.byte_offset();
        found.report(source, Span::new(at, at), error.to_string());
    }
}
