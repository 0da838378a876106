//! NX110: A cache key does not contain the platform.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX110",
        name: "cache-key-without-platform",
        summary: "A cache key does not contain the platform.",
    },
    rationale: "Built wheels depend on operating system, architecture and Python. A runner of another platform restores an entry that it cannot use, and cannot save its own because the key already exists.",
    evidence: "Reported in five issues.",
    advice: "Add the operating system, the architecture, the Python version and the uv version to the key.",
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
        with: {path: ~/.cache/uv, key: "uv-${{ hashFiles('uv.lock') }}"}
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
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ runner.arch }}-${{ hashFiles('uv.lock') }}"}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        for cache in view.analysis.caches.iter().filter(|cache| cache.has_python_content()) {
            let Some(key) = &cache.key else { continue };
            let literal_parts = job_cache::strip_hash_files(&key.value);
            if job_cache::has_os_part(&literal_parts) {
                continue;
            }
            let parts = [
                ("operating system", true),
                ("architecture", !job_cache::has_arch_part(&literal_parts)),
                ("Python version", !job_cache::has_python_part(&literal_parts)),
                ("uv version", cache.caches_uv_downloads() && !job_cache::has_uv_version_part(&literal_parts)),
            ];
            let missing: Vec<&str> = parts.into_iter().filter(|(_, missing)| *missing).map(|(name, _)| name).collect();
            let fix = fixes::cache_step::rewrite_cache_step(&view, cache);
            findings
                .report(view.source(), key.span, format!("the key does not contain the {}", missing.join(", ")))
                .set_fix(fix);
        }
    }
}
