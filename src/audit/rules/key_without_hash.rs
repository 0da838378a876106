//! NX107: A cache of Python packages has a key that hashes no file.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX107",
        name: "key-without-hash",
        summary: "A cache of Python packages has a key that hashes no file.",
    },
    rationale: "Entries are immutable: what the first run saved is an exact hit for ever, however the dependencies change.",
    evidence: "Seen as `nox-envdir-${{ runner.os }}-session` in public workflows.",
    advice: "Hash what decides the dependencies: the lock, pyproject.toml, noxfile.py.",
    severity: Severity::Medium,
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
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}"}
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
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock', 'noxfile.py') }}"}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views() {
        for cache in view.analysis.caches.iter().filter(|cache| cache.has_python_content()) {
            let Some(key) = &cache.key else { continue };
            let moving = ["hashFiles", "steps.", "needs.", "github.run_id", "github.sha", "inputs.", "env."];
            if !moving.iter().any(|part| key.value.contains(part)) {
                let fix = fixes::cache_step::rewrite_cache_step(&view, cache);
                found.report(view.source(), key.span, "this key never changes").set_fix(fix);
            }
        }
    }
}
