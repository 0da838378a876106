//! NX117: A cache is saved only when the job passes.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX117", name: "cache-lost-on-failure", what: "A cache is saved only when the job passes." },
    why: "`actions/cache` saves in a post step with `success()`: while a branch is red, every run starts cold.",
    evidence: "Structural, in all versions; measured in act.",
    advice: "Split it into `actions/cache/restore` and `actions/cache/save` with `if: always()`.",
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
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
      - run: nox -s lint
"#,
    )],
    good: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/cache/restore@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
      - run: nox -s lint
      - uses: actions/cache/save@v4
        if: always()
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs().filter(|view| !view.survey.calls.is_empty()) {
        for cache in view.survey.caches.iter().filter(|cache| cache.kind == CacheKind::Action && cache.keeps_python()) {
            let step = view.step(cache.step);
            let whole = step.and_then(|step| step.action.as_ref()).is_some_and(|action| action.path.is_empty());
            if whole && step.is_some_and(|step| step.input("save-always").is_none()) {
                found.report(view.source(), cache.place, "nothing is saved when a session fails");
            }
        }
    }
}
