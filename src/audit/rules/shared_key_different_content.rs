//! NX116: jobs that install different packages save under one key.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX116",
        name: "shared-key-different-content",
        what: "Jobs that install different packages save under one key.",
    },
    why: "Entries are immutable: the first job to finish decides what is in it, and the others hit on a part of what they need, for ever.",
    evidence: "W6: on parcelbook the entry that `lint` saves first holds 22 of 207 archives, 11 % of what the others need.",
    advice: "Give jobs with different packages different keys; jobs with the same packages share one.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: EVERYWHERE,
    bad: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock', 'noxfile.py') }}"}
      - run: nox -s lint
  docs:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock', 'noxfile.py') }}"}
      - run: nox -s docs
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

@nox.session
def lint(session):
    session.install("ruff")

@nox.session
def docs(session):
    session.install("mkdocs")
"#,
        ),
    ],
    good: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-lint-${{ runner.os }}-${{ hashFiles('uv.lock', 'noxfile.py') }}"}
      - run: nox -s lint
  docs:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-docs-${{ runner.os }}-${{ hashFiles('uv.lock', 'noxfile.py') }}"}
      - run: nox -s docs
"#,
    )],
    look,
};

type Group<'a> = Vec<(View<'a>, &'a Cache, Vec<String>)>;

fn look(project: &Project, found: &mut Found) {
    let mut groups: std::collections::BTreeMap<(&str, &str), Group> = std::collections::BTreeMap::new();
    for view in project.jobs() {
        for cache in view.survey.caches.iter().filter(|cache| cache.keeps_python()) {
            if let (Some(key), Some(set)) = (&cache.key, view.install_set()) {
                groups.entry((view.source().path.as_str(), key.value.as_str())).or_default().push((view, cache, set));
            }
        }
    }
    for group in groups.values() {
        let differ = group.windows(2).any(|pair| pair[0].2 != pair[1].2);
        if !differ || group.first().is_none_or(|(view, ..)| view.job.matrix.is_some()) {
            continue;
        }
        for (view, cache, _) in group {
            let Some(key) = &cache.key else { continue };
            let message = format!(
                "{} jobs that install different packages share this key: the first to finish decides what it holds",
                group.len()
            );
            let fix = fixes::cache::key(view, cache);
            found.report(view.source(), key.span, message).fix(fix);
        }
    }
}
