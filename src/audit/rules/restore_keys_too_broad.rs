//! NX111: A `restore-keys` prefix matches entries of other platforms, Python versions or jobs.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX111",
        name: "restore-keys-too-broad",
        summary: "A `restore-keys` prefix matches entries of other platforms, Python versions or jobs.",
    },
    rationale: "A partial hit then unpacks files that this job cannot use. In environments, stale packages also remain: installing does not remove them.",
    evidence: "Observed: the prefix `uv-` matches the entries of every job. A package removed from an extra is still importable in an environment restored by prefix.",
    advice: "End the prefix just before the hash, so that it contains the rest of the key.",
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
        with:
          path: ~/.cache/uv
          key: uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}
          restore-keys: |
            uv-
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
                let prefix = prefix.value.to_lowercase();
                !job_cache::has_os_part(&prefix)
                    || (cache.caches_environments() && !job_cache::has_python_part(&prefix))
            };
            if let (Some(prefix), Some(input)) =
                (cache.restore_keys.iter().find(is_too_broad), step.input_key("restore-keys"))
            {
                let message = format!("the prefix `{}` matches entries of every platform and job", prefix.value);
                let fix = fixes::cache_step::rewrite_cache_step(&view, cache);
                findings
                    .report(view.source(), input.span, message)
                    .add_related(view.source(), prefix.span, "this prefix")
                    .set_fix(fix);
            }
        }
    }
}
