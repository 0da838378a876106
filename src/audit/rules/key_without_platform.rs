//! NX110: A cache key does not name the platform.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX110", name: "key-without-platform", summary: "A cache key does not name the platform." },
    rationale: "Built wheels differ by operating system, processor and Python; a runner of another kind takes an entry that it cannot use, and its own is refused because the key exists.",
    evidence: "W3, stated in five issues of the users' pipeline.",
    advice: "Name operating system, processor, Python and the version of uv in the key.",
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

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views() {
        for cache in view.analysis.caches.iter().filter(|cache| cache.has_python_content()) {
            let Some(key) = &cache.key else { continue };
            let stated = cache_key::strip_hash_files(&key.value);
            if cache_key::has_os_part(&stated) {
                continue;
            }
            let parts = [
                ("operating system", true),
                ("processor", !cache_key::has_arch_part(&stated)),
                ("Python", !cache_key::has_python_part(&stated)),
                ("uv version", cache.has_uv_path() && !cache_key::has_uv_version_part(&stated)),
            ];
            let missing: Vec<&str> = parts.into_iter().filter(|(_, missing)| *missing).map(|(name, _)| name).collect();
            let fix = fixes::cache_step::rewrite_cache_step(&view, cache);
            found.report(view.source(), key.span, format!("the key does not name {}", missing.join(", "))).set_fix(fix);
        }
    }
}
