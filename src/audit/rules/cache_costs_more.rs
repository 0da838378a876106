//! NX119: Restoring packages took longer than it saved.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX119",
        name: "cache-costs-more",
        summary: "Restoring packages took longer than it saved.",
    },
    rationale: "Small sets of packages are fetched faster than a cache is asked, and a slow disk or a far store can cost more than the index.",
    evidence: "Your own records only: at least three runs of the session that restored, and three that did not. One archive of 36,000 files cost more to unpack than to fetch anew (measured).",
    advice: "Leave the cache out for these sessions (`--cache off`), or bring the store nearer; measure again with `noxide bench`.",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: noxide run -s lint
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: noxide run --cache off -s lint
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views() {
        for call in view.analysis.nox_calls.iter().filter(|call| call.parsed.is_noxide && !call.parsed.cache_disabled) {
            for (name, place) in &call.sessions {
                if let Some(measured) = project.options.cache_losses.get(name) {
                    found.report(view.source(), *place, format!("`{name}`: {measured}"));
                }
            }
        }
    }
}
