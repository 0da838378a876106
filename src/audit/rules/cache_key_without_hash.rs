//! NX107: The key of a package cache hashes no file.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX107",
        name: "cache-key-without-hash",
        summary: "The key of a package cache hashes no file.",
    },
    rationale: "Cache entries are immutable: the first saved entry stays an exact hit forever, even after the dependencies change.",
    evidence: "Seen as `nox-envdir-${{ runner.os }}-session` in public workflows.",
    advice: "Hash the files that decide what is installed: the lock file, pyproject.toml and noxfile.py.",
    severity: Severity::Medium,
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        for cache in view.analysis.caches.iter().filter(|cache| cache.has_python_content()) {
            let Some(key) = &cache.key else { continue };
            let variable_parts = ["hashFiles", "steps.", "needs.", "github.run_id", "github.sha", "inputs.", "env."];
            if !variable_parts.iter().any(|part| key.value.contains(part)) {
                let fix = fixes::cache_step::repair_cache_step(&view, cache);
                findings
                    .report(view.source(), key.span, "this key never changes, so the cache is never updated")
                    .set_fix(fix);
            }
        }
    }
}
