//! NX111: A `restore-keys` prefix takes entries of other platforms, Pythons or jobs.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX111",
        name: "restore-keys-too-broad",
        what: "A `restore-keys` prefix takes entries of other platforms, Pythons or jobs.",
    },
    why: "A partial hit then unpacks what this job cannot use, and with environments leaves stale packages in place: installing removes nothing.",
    evidence: "W4: the prefix `uv-` matches every job's entry. A package dropped from an extra is still importable in an environment restored by prefix (T20).",
    advice: "Cut the prefix just before the hash: everything else of the key stays in it.",
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
        with:
          path: ~/.cache/uv
          key: uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}
          restore-keys: |
            uv-
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
          restore-keys: |
            uv-${{ runner.os }}-
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs() {
        for cache in view.survey.caches.iter().filter(|cache| cache.keeps_python()) {
            let Some(step) = view.step(cache.step) else { continue };
            let broad = |prefix: &&Text| {
                let prefix = prefix.value.to_lowercase();
                !key::names_os(&prefix) || (cache.keeps_environments() && !key::names_python(&prefix))
            };
            if let (Some(prefix), Some(place)) = (cache.restore.iter().find(broad), step.input_key("restore-keys")) {
                let message = format!("the prefix `{}` matches entries of any platform and any job", prefix.value);
                let fix = fixes::cache::key(&view, cache);
                found
                    .report(view.source(), place.span, message)
                    .also(view.source(), prefix.span, "this prefix")
                    .fix(fix);
            }
        }
    }
}
