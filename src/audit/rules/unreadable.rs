//! NX001: A workflow file is not one readable YAML document.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX001", name: "unreadable", what: "A workflow file is not one readable YAML document." },
    why: "The forge refuses the whole file: the run is red after 0 seconds, or no run appears at all.",
    evidence: "W26: a broken `ci.yml` of the users' own pipeline showed only \"failing after 0s\" in its check list.",
    advice: "Mend the YAML; noxide fixes nothing in a file that it cannot read.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: EVERYWHERE,
    bad: &[(
        ".forgejo/workflows/ci.yml",
        r#"jobs:
  a: [1
  b: 2
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
    for (source, error) in &project.broken {
        let at = error.at();
        found.report(source, Span::new(at, at), error.to_string());
    }
}
