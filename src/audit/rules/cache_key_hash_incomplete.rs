//! NX108: A cache key hashes only some of the files that decide what is installed.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX108",
        name: "cache-key-hash-incomplete",
        summary: "A cache key hashes only some of the files that decide what is installed.",
    },
    rationale: "`session.install(\"ruff\")` is in the noxfile, version ranges are in pyproject.toml, exact versions in the lock file. After a change in a file that is not hashed, the old entry is still an exact hit.",
    evidence: "Reported in seven issues. With ruff 0.15.0 in the lock file nox installed 0.17.6: sessions do not read uv.lock, so a key made of the lock file alone is incomplete too.",
    advice: "Hash the lock file, pyproject.toml and noxfile.py together.",
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        let uses_noxfile = project.noxfile.is_some() && !view.analysis.nox_calls.is_empty();
        for cache in view.analysis.caches.iter().filter(|cache| is_certain_content(cache)) {
            let Some(key) = &cache.key else { continue };
            let files = job_cache::extract_hashed_files(&key.value);
            let only = |part: &str| files.iter().all(|file| file.ends_with(part));
            let lacks = |name: &str| !files.iter().any(|file| file.ends_with(name) || file.ends_with('*'));
            let mut missing = Vec::new();
            if uses_noxfile && lacks("noxfile.py") {
                missing.push("noxfile.py");
            }
            if let Some(lock) = project.files.lock_file.as_deref().filter(|lock| lacks(lock) && only("pyproject.toml"))
            {
                missing.push(lock);
            }
            if !files.is_empty()
                && !missing.is_empty()
                && (only("pyproject.toml") || LOCK_FILES.iter().any(|lock| only(lock)))
            {
                let (hashed, missing) = (files.join(", "), missing.join(" and "));
                let fix = fixes::cache_step::repair_cache_step(&view, cache);
                findings
                    .report(view.source(), key.span, format!("the key hashes {hashed} but not {missing}"))
                    .set_fix(fix);
            }
        }
    }
}

const LOCK_FILES: [&str; 4] = ["uv.lock", "pylock.toml", "poetry.lock", "pdm.lock"];

/// Whether a cache holds downloads or environments, and nothing that other files decide.
fn is_certain_content(cache: &JobCache) -> bool {
    cache.has_only_downloads()
        || (!cache.paths.is_empty() && cache.paths.iter().all(|path| job_cache::is_environment_path(&path.value)))
}
