//! NX105: an old `setup-uv` hashes no file that this project has.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX105",
        name: "setup-uv-constant-key",
        what: "An old `setup-uv` hashes no file that this project has.",
    },
    why: "Version 4 hashes only uv.lock, version 5 also requirements files: without them the key never changes, and what was saved first stays for ever.",
    evidence: "An act log shows the key `…-no-dependency-glob` for such a project.",
    advice: "Name the files: `cache-dependency-glob`, or use version 6 or newer.",
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
      - uses: actions/checkout@v4
      - uses: astral-sh/setup-uv@v5
        with: {enable-cache: true}
"#,
    )],
    good: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/checkout@v4
      - uses: astral-sh/setup-uv@v5
        with: {enable-cache: true, cache-dependency-glob: "pyproject.toml\nnoxfile.py"}
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    let files = &project.files;
    for view in project.jobs() {
        for cache in view.survey.caches.iter().filter(|cache| cache.kind == CacheKind::SetupUv) {
            let Some(step) = view.step(cache.step) else { continue };
            let major = step.action.as_ref().and_then(ActionRef::major).unwrap_or(u32::MAX);
            let lock = files.lock.as_deref() == Some("uv.lock");
            let constant = (major <= 4 && !lock) || (major == 5 && !lock && files.requirements.is_empty());
            if constant && step.input("cache-dependency-glob").is_none() {
                let value = "\"**/pyproject.toml\"";
                let fix = fixes::step::set_input(&view, step, "cache-dependency-glob", value, "hash pyproject.toml");
                found
                    .report(view.source(), cache.place, "its key hashes no file of this project, so it never changes")
                    .fix(fix);
            }
        }
    }
}
