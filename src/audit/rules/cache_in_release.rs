//! NX118: A job that hands something out takes packages from a cache.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX118",
        name: "cache-in-release",
        what: "A job that hands something out takes packages from a cache.",
    },
    why: "Who can write to the cache can then put code into what is released. noxide never adds a cache there.",
    evidence: "zizmor's `cache-poisoning`; a bulk fix without this guard raised exactly one such finding in 446 files.",
    advice: "Install from the index, with hashes from the lock.",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    dialects: EVERYWHERE,
    bad: &[(
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
    good: &[(
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
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs().filter(View::hands_out) {
        for cache in view.survey.caches.iter().filter(|cache| cache.keeps_python()) {
            found.report(
                view.source(),
                cache.place,
                format!("job `{}` hands out what it makes, and takes packages from a cache", view.job.id.value),
            );
        }
    }
}
