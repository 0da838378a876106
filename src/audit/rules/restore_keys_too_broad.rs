//! NX111: A `restore-keys` prefix matches entries of other platforms, Python versions or jobs.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX111",
        name: "restore-keys-too-broad",
        summary: "A `restore-keys` prefix matches entries of other platforms, Python versions or jobs.",
    },
    rationale: "A partial hit then unpacks files that this job cannot use. In environments, stale packages also remain: installing does not remove them. Reported where such other entries exist in the project.",
    evidence: "Observed: the prefix `uv-` matches the entries of every job. A package removed from an extra is still importable in an environment restored by prefix.",
    advice: "End the prefix just before the hash, so that it contains the rest of the key.",
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
        with:
          path: ~/.cache/uv
          key: uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}
          restore-keys: |
            uv-
  docs:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with:
          path: ~/.cache/uv
          key: uv-docs-${{ runner.os }}-${{ hashFiles('docs/requirements.txt') }}
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
        with:
          path: ~/.cache/uv
          key: uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}
          restore-keys: |
            uv-${{ runner.os }}-
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        for cache in view.analysis.caches.iter().filter(|cache| cache.has_python_content()) {
            let Some(step) = view.step(cache.step_index) else { continue };
            let is_too_broad = |prefix: &&SpannedText| {
                let lower = prefix.value.to_lowercase();
                (!job_cache::has_os_part(&lower) && view.mixes_platforms(cache))
                    || (cache.caches_environments() && !job_cache::has_python_part(&lower))
                    || matches_another_key(&view, cache, &prefix.value)
            };
            if let (Some(prefix), Some(input)) =
                (cache.restore_keys.iter().find(is_too_broad), step.input_key("restore-keys"))
            {
                let message = format!("the prefix `{}` matches entries that this job cannot use", prefix.value);
                let fix = fixes::cache_step::repair_cache_step(&view, cache);
                findings
                    .report(view.source(), input.span, message)
                    .add_related(view.source(), prefix.span, "this prefix")
                    .set_fix(fix);
            }
        }
    }
}

/// Whether a prefix matches the entries of another job, saved under another key.
fn matches_another_key(view: &JobView, cache: &JobCache, prefix: &str) -> bool {
    let (Some(own), false) = (&cache.key, prefix.is_empty()) else { return false };
    let is_other = |key: &SpannedText| key.value != own.value && key.value.starts_with(prefix);
    let others = view.project.job_views().filter(|other| !std::ptr::eq(other.job, view.job));
    // What follows the prefix in the own key besides the hash tells the entries apart.
    let has_own_part = own.value.strip_prefix(prefix).is_some_and(|rest| !rest.starts_with("${{ hashFiles"));
    others.flat_map(|other| &other.analysis.caches).filter_map(|cache| cache.key.as_ref()).any(is_other)
        || (has_own_part && own.value.contains("matrix.") && !prefix.contains("matrix."))
}
