//! NX110: A cache key does not contain the platform.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX110",
        name: "cache-key-without-platform",
        summary: "A cache key does not contain the platform.",
    },
    rationale: "Built wheels depend on operating system, architecture and Python. A runner of another platform restores an entry that it cannot use, and cannot save its own because the key already exists. Reported where jobs with different runners use the key; with low confidence on self-hosted runners, whose platforms are unknown; not in a job of one GitHub-hosted system.",
    evidence: "Reported in five issues. Not reported between operating systems for a path that a step prints (`pip cache dir`): it differs between them, and the paths are part of the version of an entry.",
    advice: "Add the operating system, the architecture, the Python version and the uv version to the key.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".github/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: ${{ matrix.os }}
    strategy:
      matrix: {os: [ubuntu-latest, macos-latest]}
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ hashFiles('uv.lock') }}"}
"#,
    )],
    good_example: &[(
        ".github/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: ${{ matrix.os }}
    strategy:
      matrix: {os: [ubuntu-latest, macos-latest]}
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
            let is_shared = view.mixes_platforms(cache)
                || (!cache.paths.iter().any(|path| cache.is_printed_path(&path.value))
                    && is_used_on_other_runners(&view, &key.value));
            if !is_shared && !view.is_self_hosted() {
                continue;
            }
            let parts = [
                ("operating system", true),
                ("architecture", !job_cache::has_arch_part(&literal_parts)),
                ("Python version", !job_cache::has_python_part(&literal_parts)),
                ("uv version", cache.caches_uv_downloads() && !job_cache::has_uv_version_part(&literal_parts)),
            ];
            let missing: Vec<&str> = parts.into_iter().filter(|(_, missing)| *missing).map(|(name, _)| name).collect();
            let fix = fixes::cache_step::repair_cache_step(&view, cache);
            let message = format!("the key does not contain the {}", missing.join(", "));
            let finding = findings.report(view.source(), key.span, message);
            finding.set_fix(fix);
            if !is_shared {
                // Whether the runners with this label are alike is not known.
                finding.set_severity(Severity::Low).set_confidence(Confidence::Low);
            }
        }
    }
}

/// Whether a job with other runner labels uses the same key.
fn is_used_on_other_runners(view: &JobView, key: &str) -> bool {
    let labels = |view: &JobView| view.job.runs_on.iter().map(|label| label.value.clone()).collect::<Vec<_>>();
    let has_key = |other: &JobView| {
        other.analysis.caches.iter().any(|cache| cache.key.as_ref().is_some_and(|text| text.value == key))
    };
    view.project.job_views().any(|other| has_key(&other) && labels(&other) != labels(view))
}
