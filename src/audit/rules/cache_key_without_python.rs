//! NX109: The key of an environment cache does not contain the Python version.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX109",
        name: "cache-key-without-python",
        summary: "The key of an environment cache does not contain the Python version.",
    },
    rationale: "An environment built by another Python is broken or rebuilt, so such a hit costs more than a miss.",
    evidence: "Seen in 1 of 275 sampled nox jobs.",
    advice: "Add the Python version to the key.",
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        for cache in view.analysis.caches.iter().filter(|cache| cache.caches_environments()) {
            if let Some(key) =
                cache.key.as_ref().filter(|key| !job_cache::has_python_part(&job_cache::strip_hash_files(&key.value)))
            {
                let fix = fixes::cache_step::rewrite_cache_step(&view, cache);
                findings
                    .report(view.source(), key.span, "environments are cached under a key without the Python version")
                    .set_fix(fix);
            }
        }
    }
}
