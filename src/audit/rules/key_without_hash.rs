//! NX107: A cache of Python packages has a key that hashes no file.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX107",
        name: "key-without-hash",
        what: "A cache of Python packages has a key that hashes no file.",
    },
    why: "Entries are immutable: what the first run saved is an exact hit for ever, however the dependencies change.",
    evidence: "Seen as `nox-envdir-${{ runner.os }}-session` in public workflows.",
    advice: "Hash what decides the dependencies: the lock, pyproject.toml, noxfile.py.",
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
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}"}
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
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock', 'noxfile.py') }}"}
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs() {
        for cache in view.survey.caches.iter().filter(|cache| cache.keeps_python()) {
            let Some(key) = &cache.key else { continue };
            let moving = ["hashFiles", "steps.", "needs.", "github.run_id", "github.sha", "inputs.", "env."];
            if !moving.iter().any(|part| key.value.contains(part)) {
                let fix = fixes::cache::key(&view, cache);
                found.report(view.source(), key.span, "this key never changes").fix(fix);
            }
        }
    }
}
