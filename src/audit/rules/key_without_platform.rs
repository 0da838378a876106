//! NX110: A cache key does not name the platform.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX110", name: "key-without-platform", what: "A cache key does not name the platform." },
    why: "Built wheels differ by operating system, processor and Python; a runner of another kind takes an entry that it cannot use, and its own is refused because the key exists.",
    evidence: "W3, stated in five issues of the users' pipeline.",
    advice: "Name operating system, processor, Python and the version of uv in the key.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: EVERYWHERE,
    bad: &[(
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
    good: &[(
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
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs() {
        for cache in view.survey.caches.iter().filter(|cache| cache.keeps_python()) {
            let Some(key) = &cache.key else { continue };
            let stated = key::stated(&key.value);
            if key::names_os(&stated) {
                continue;
            }
            let parts = [
                ("operating system", true),
                ("processor", !key::names_arch(&stated)),
                ("Python", !key::names_python(&stated)),
                ("uv version", cache.keeps_uv() && !key::names_uv_version(&stated)),
            ];
            let missing: Vec<&str> = parts.into_iter().filter(|(_, missing)| *missing).map(|(name, _)| name).collect();
            let fix = fixes::cache::key(&view, cache);
            found.report(view.source(), key.span, format!("the key does not name {}", missing.join(", "))).fix(fix);
        }
    }
}
