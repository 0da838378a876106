//! NX112: A cache of downloads has no `restore-keys`.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX112", name: "no-restore-keys", what: "A cache of downloads has no `restore-keys`." },
    why: "One changed dependency is then a full miss: everything is downloaded again instead of one package.",
    evidence: "4 of 275 sampled nox jobs.",
    advice: "Add the key without its hash as a prefix.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
    dialects: EVERYWHERE,
    bad: &[(
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
    good: &[(
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
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs() {
        for cache in &view.survey.caches {
            let downloads = cache.kind == CacheKind::Action && cache.keeps_python() && !cache.keeps_environments();
            let hashed = cache.key.as_ref().filter(|key| key.value.contains("hashFiles"));
            if let (true, true, Some(key)) = (downloads, cache.restore.is_empty(), hashed) {
                let fix = fixes::cache::restore_keys(&view, cache);
                found
                    .report(view.source(), key.span, "without restore-keys one changed dependency misses everything")
                    .fix(fix);
            }
        }
    }
}
