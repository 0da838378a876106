//! NX109: A cache of environments has a key that does not name the interpreter.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX109",
        name: "key-without-python",
        summary: "A cache of environments has a key that does not name the interpreter.",
    },
    rationale: "An environment made by another Python is broken or rebuilt; either way the hit costs more than a miss.",
    evidence: "Seen in 1 of 275 sampled nox jobs; W3.",
    advice: "Put the Python version into the key.",
    severity: Severity::High,
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
        with: {path: .nox, key: "nox-${{ runner.os }}-${{ hashFiles('noxfile.py') }}"}
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
        with: {path: .nox, key: "nox-${{ runner.os }}-python3.13-${{ hashFiles('noxfile.py') }}"}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views() {
        for cache in view.analysis.caches.iter().filter(|cache| cache.has_environment_path()) {
            if let Some(key) =
                cache.key.as_ref().filter(|key| !cache_key::has_python_part(&cache_key::strip_hash_files(&key.value)))
            {
                let fix = fixes::cache_step::rewrite_cache_step(&view, cache);
                found
                    .report(view.source(), key.span, "environments are kept under a key that names no Python")
                    .set_fix(fix);
            }
        }
    }
}
