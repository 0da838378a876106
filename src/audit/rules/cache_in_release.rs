//! NX118: A job that hands something out takes packages from a cache.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX118",
        name: "cache-in-release",
        summary: "A job that hands something out takes packages from a cache.",
    },
    rationale: "Who can write to the cache can then put code into what is released. noxide never adds a cache there.",
    evidence: "zizmor's `cache-poisoning`; a bulk fix without this guard raised exactly one such finding in 446 files.",
    advice: "Install from the index, with hashes from the lock.",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on:
  push:
    tags: ["v*"]
jobs:
  wheel:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
      - run: uv publish
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on:
  push:
    branches: [main]
jobs:
  wheel:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views().filter(JobView::is_release) {
        for cache in view.analysis.caches.iter().filter(|cache| cache.has_python_content()) {
            found.report(
                view.source(),
                cache.span,
                format!("job `{}` hands out what it makes, and takes packages from a cache", view.job.id.value),
            );
        }
    }
}
