//! NX123: the cache is pruned of all wheels before it is saved.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX123",
        name: "cache-pruned-empty",
        summary: "The cache is pruned of all wheels before it is saved.",
    },
    rationale: "`uv cache prune --ci` keeps only what was built here: a later hit downloads everything else again.",
    evidence: "On parcelbook it leaves 7.9 of 193.7 MB.",
    advice: "Leave the pruning out, unless the index is faster than the cache.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
      - run: uv cache prune --ci
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
      - run: uv cache prune
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views().filter(|view| view.analysis.caches.iter().any(JobCache::has_uv_path)) {
        for step in &view.job.steps {
            for command in step
                .commands
                .iter()
                .filter(|command| command.starts_with(&["uv", "cache", "prune"]) && command.has_word("--ci"))
            {
                found.report(view.source(), step.file_span(command.span), "this throws away what the cache is for");
            }
        }
    }
}
