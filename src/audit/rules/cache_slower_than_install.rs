//! NX119: Restoring packages took longer than it saved.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX119",
        name: "cache-slower-than-install",
        summary: "Restoring packages took longer than it saved.",
    },
    rationale: "A small set of packages can download faster than a remote cache responds, and with a slow disk or a distant remote cache, restoring can take longer than downloading from the index.",
    evidence: "Your own run records: at least three runs of the session with a restored cache and three without. Unpacking one archive of 36,000 files took longer than downloading its packages again (measured).",
    advice: "Turn the cache off for these sessions (`--cache off`) or use a closer remote cache, then measure again with `noxide bench`.",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    forges: ALL_FORGES,
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        for call in view.analysis.nox_calls.iter().filter(|call| call.parsed.is_noxide && !call.parsed.cache_disabled) {
            for (name, span) in &call.sessions {
                if let Some(loss) = project.options.cache_losses.get(name) {
                    findings.report(view.source(), *span, format!("`{name}`: {loss}"));
                }
            }
        }
    }
}
