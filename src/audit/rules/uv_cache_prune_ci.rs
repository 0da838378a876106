//! NX123: `uv cache prune --ci` removes all downloaded wheels before the cache is saved.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX123",
        name: "uv-cache-prune-ci",
        summary: "`uv cache prune --ci` removes all downloaded wheels before the cache is saved.",
    },
    rationale: "Only packages built here stay in the cache: a later hit downloads everything else again.",
    evidence: "On the example project (parcelbook) it leaves 7.9 of 193.7 MB.",
    advice: "Remove the command or its `--ci` flag, unless the index is faster than the cache.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views().filter(|view| view.analysis.caches.iter().any(JobCache::caches_uv_downloads)) {
        for step in &view.job.steps {
            for command in step
                .commands
                .iter()
                .filter(|command| command.starts_with(&["uv", "cache", "prune"]) && command.has_word("--ci"))
            {
                findings.report(
                    view.source(),
                    step.file_span(command.span),
                    "this removes the wheels that the cache should hold",
                );
            }
        }
    }
}
