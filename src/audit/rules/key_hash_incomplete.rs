//! NX108: A cache key hashes only part of what decides which packages are installed.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX108",
        name: "key-hash-incomplete",
        summary: "A cache key hashes only part of what decides which packages are installed.",
    },
    rationale: "`session.install(\"ruff\")` is written in the noxfile, ranges in pyproject.toml, exact versions in the lock. A change in a file that is not hashed leaves an old entry in place as an exact hit.",
    evidence: "W2, stated in seven issues. With ruff 0.15.0 in the lock nox installed 0.17.6: sessions do not read uv.lock, so a key of the lock alone says nothing of them either.",
    advice: "Hash the lock, pyproject.toml and noxfile.py together.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with:
          path: ~/.cache/uv
          key: uv-${{ runner.os }}-${{ hashFiles('pyproject.toml') }}
      - run: nox -s lint
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

@nox.session
def lint(session):
    session.install("ruff")
"#,
        ),
    ],
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
          key: uv-${{ runner.os }}-${{ hashFiles('pyproject.toml', 'noxfile.py') }}
      - run: nox -s lint
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views() {
        let noxfile = project.noxfile.is_some() && !view.analysis.nox_calls.is_empty();
        for cache in view.analysis.caches.iter().filter(|cache| cache.has_python_content()) {
            let Some(key) = &cache.key else { continue };
            let files = cache_key::extract_hashed_files(&key.value);
            let only = |part: &str| files.iter().all(|file| file.ends_with(part));
            let lacks = |name: &str| !files.iter().any(|file| file.ends_with(name) || file.ends_with('*'));
            let mut missing = Vec::new();
            if noxfile && lacks("noxfile.py") {
                missing.push("noxfile.py");
            }
            if let Some(lock) = project.files.lock_file.as_deref().filter(|lock| lacks(lock) && only("pyproject.toml"))
            {
                missing.push(lock);
            }
            if !files.is_empty() && !missing.is_empty() && (only("pyproject.toml") || only(".lock")) {
                let (seen, missing) = (files.join(", "), missing.join(" and "));
                let fix = fixes::cache_step::rewrite_cache_step(&view, cache);
                found.report(view.source(), key.span, format!("the key hashes {seen} but not {missing}")).set_fix(fix);
            }
        }
    }
}
