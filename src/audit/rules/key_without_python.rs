//! NX109: A cache of environments has a key that does not name the interpreter.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX109",
        name: "key-without-python",
        what: "A cache of environments has a key that does not name the interpreter.",
    },
    why: "An environment made by another Python is broken or rebuilt; either way the hit costs more than a miss.",
    evidence: "Seen in 1 of 275 sampled nox jobs; W3.",
    advice: "Put the Python version into the key.",
    severity: Severity::High,
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
        with: {path: .nox, key: "nox-${{ runner.os }}-${{ hashFiles('noxfile.py') }}"}
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
        with: {path: .nox, key: "nox-${{ runner.os }}-python3.13-${{ hashFiles('noxfile.py') }}"}
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs() {
        for cache in view.survey.caches.iter().filter(|cache| cache.keeps_environments()) {
            if let Some(key) = cache.key.as_ref().filter(|key| !key::names_python(&key::stated(&key.value))) {
                let fix = fixes::cache::key(&view, cache);
                found
                    .report(view.source(), key.span, "environments are kept under a key that names no Python")
                    .fix(fix);
            }
        }
    }
}
