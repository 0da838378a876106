//! NX111: A `restore-keys` prefix takes entries of other platforms, Pythons or jobs.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX111",
        name: "restore-keys-too-broad",
        summary: "A `restore-keys` prefix takes entries of other platforms, Pythons or jobs.",
    },
    rationale: "A partial hit then unpacks what this job cannot use, and with environments leaves stale packages in place: installing removes nothing.",
    evidence: "W4: the prefix `uv-` matches every job's entry. A package dropped from an extra is still importable in an environment restored by prefix (T20).",
    advice: "Cut the prefix just before the hash: everything else of the key stays in it.",
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

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views() {
        for cache in view.analysis.caches.iter().filter(|cache| cache.has_python_content()) {
            let Some(step) = view.step(cache.step_index) else { continue };
            let broad = |prefix: &&SpannedText| {
                let prefix = prefix.value.to_lowercase();
                !cache_key::has_os_part(&prefix)
                    || (cache.has_environment_path() && !cache_key::has_python_part(&prefix))
            };
            if let (Some(prefix), Some(place)) = (cache.restore_keys.iter().find(broad), step.input_key("restore-keys"))
            {
                let message = format!("the prefix `{}` matches entries of any platform and any job", prefix.value);
                let fix = fixes::cache_step::rewrite_cache_step(&view, cache);
                found
                    .report(view.source(), place.span, message)
                    .add_related(view.source(), prefix.span, "this prefix")
                    .set_fix(fix);
            }
        }
    }
}
