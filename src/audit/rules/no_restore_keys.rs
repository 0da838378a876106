//! NX112: A download cache has no `restore-keys`.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX112", name: "no-restore-keys", summary: "A download cache has no `restore-keys`." },
    rationale: "After one changed dependency nothing is restored: everything is downloaded again instead of one package.",
    evidence: "4 of 275 sampled nox jobs.",
    advice: "Add the key up to its hash as a `restore-keys` prefix.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
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
          restore-keys: uv-${{ runner.os }}-
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        for cache in &view.analysis.caches {
            let is_download_cache = cache.kind == JobCacheKind::ActionsCache && cache.has_only_downloads();
            let hashed_key = cache.key.as_ref().filter(|key| key.value.contains("hashFiles"));
            if let (true, true, Some(key)) = (is_download_cache, cache.restore_keys.is_empty(), hashed_key) {
                let fix = fixes::cache_step::add_restore_keys(&view, cache);
                findings
                    .report(
                        view.source(),
                        key.span,
                        "without `restore-keys`, nothing is restored after one dependency changes",
                    )
                    .set_fix(fix);
            }
        }
    }
}
