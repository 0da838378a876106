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
            let Some(key) = &cache.key else { continue };
            let jobs = differing(&view);
            if jobs > 1 && !key.value.contains("matrix.") {
                report(&view, cache, key, jobs, found);
            } else if let Some(set) = view.install_set() {
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
            if let Some(key) = &cache.key {
                report(view, cache, key, group.len(), found);
            }
        }
    }
}

fn report(view: &View, cache: &Cache, key: &Text, jobs: usize, found: &mut Found) {
    let message = format!(
        "{jobs} jobs that install different packages share this key: the first to finish decides what it holds"
    );
    found.report(view.source(), key.span, message).fix(fixes::cache::key(view, cache));
}

/// How many jobs a matrix of sessions makes, where their sessions install different packages; else none.
fn differing(view: &View) -> usize {
    let sets: Option<Vec<Vec<String>>> = view
        .sessions()
        .iter()
        .map(|name| view.facts(name).map(crate::audit::noxfile::SessionFacts::installs))
        .collect();
    let differ = sets.is_some_and(|sets| sets.windows(2).any(|pair| pair[0] != pair[1]));
    if view.session_of_matrix().is_some() && differ { view.sessions().len() } else { 0 }
}
