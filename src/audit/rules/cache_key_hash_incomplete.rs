//! NX108: A cache key hashes only some of the files that decide what is installed.

use super::prelude::*;
use crate::audit::noxfile::NoxfileSession;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX108",
        name: "cache-key-hash-incomplete",
        summary: "A cache key hashes only some of the files that decide what is installed.",
    },
    rationale: "`session.install(\"ruff\")` is in the noxfile, version ranges are in pyproject.toml, exact versions in the lock file. After a change in a file that is not hashed, the old entry is still an exact hit.",
    evidence: "Reported in seven issues. With ruff 0.15.0 in the lock file nox installed 0.17.6: sessions do not read uv.lock, so a key made of the lock file alone is incomplete too. Reported for keys of `actions/cache` that hash only files which list packages (pyproject.toml, setup.py, setup.cfg, requirements and lock files), if sessions of the job install packages that the noxfile names, or if the job or its sessions install from a lock or requirements file that is not hashed. Low severity for a cache of downloads with `restore-keys`, where a wrong hit costs little; low and pedantic if the noxfile alone is not hashed and the packages that it names have no versions, or are installed with `--no-cache-dir`.",
    advice: "Hash all files that name what the job installs: the lock file, pyproject.toml, requirements files and noxfile.py.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
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
        for cache in view.analysis.caches.iter().filter(|cache| is_certain_content(cache)) {
            let Some(key) = &cache.key else { continue };
            let files = job_cache::extract_hashed_files(&key.value);
            // Another file may name what is installed.
            if files.is_empty() || !files.iter().all(|file| is_dependency_file(file)) {
                continue;
            }
            let is_hashed =
                |name: &str| job_cache::is_file_hashed(&files, name) || files.iter().any(|file| file.ends_with(name));
            let mut missing: Vec<String> = Vec::new();
            if installs_named_packages(&view) && !is_hashed("noxfile.py") {
                missing.push("noxfile.py".to_owned());
            }
            let lock = project.files.lock_file.as_deref().filter(|_| reads_lock_file(&view));
            missing.extend(lock.filter(|lock| !is_hashed(lock)).map(str::to_owned));
            let lists = requirement_files(&view);
            let has_lists = !lists.is_empty();
            missing.extend(lists.into_iter().filter(|file| !is_hashed(file)));
            if missing.is_empty() {
                continue;
            }
            missing.dedup();
            let misses_noxfile_only = missing.len() == 1 && missing.iter().all(|file| file == "noxfile.py");
            let message = format!("the key hashes {} but not {}", files.join(", "), missing.join(" and "));
            let finding = findings.report(view.source(), key.span, message);
            // The fix does not know the requirements files.
            if cache.has_only_downloads() {
                if misses_noxfile_only && names_no_versions(&view) {
                    finding.set_severity(Severity::Low).set_persona(Persona::Pedantic);
                } else if !cache.restore_keys.is_empty() {
                    finding.set_severity(Severity::Low);
                }
            }
            finding.fix = (!has_lists).then(|| fixes::cache_step::repair_cache_step(&view, cache)).flatten();
        }
    }
}

const LOCK_FILES: [&str; 5] = ["uv.lock", "pylock.toml", "poetry.lock", "pdm.lock", "Pipfile.lock"];
const PROJECT_FILES: [&str; 7] =
    ["pyproject.toml", "setup.py", "setup.cfg", "setup.*", "noxfile.py", "tox.ini", "Pipfile"];

/// Whether a pattern of `hashFiles` names files that list packages.
fn is_dependency_file(pattern: &str) -> bool {
    let name = pattern.rsplit('/').next().unwrap_or(pattern);
    let is_list = (pattern.contains("requirements") || pattern.contains("constraints")) && name.ends_with(".txt");
    LOCK_FILES.contains(&name) || PROJECT_FILES.contains(&name) || is_list
}

/// Whether a session of the job installs packages that the noxfile names. Of a job whose sessions are not known, every
/// session counts.
fn installs_named_packages(view: &JobView) -> bool {
    let Some(noxfile) = view.project.noxfile.as_ref().filter(|_| !view.analysis.nox_calls.is_empty()) else {
        return false;
    };
    let known: Option<Vec<_>> = view.session_names().iter().map(|name| view.noxfile_session(name)).collect();
    match known.filter(|known| !known.is_empty()) {
        Some(known) => known.iter().any(|session| session.names_packages()),
        None => noxfile.sessions().iter().any(NoxfileSession::names_packages),
    }
}

/// Whether the job or one of its sessions installs what the lock file lists.
/// Whether a change of the noxfile would hardly change the downloads: its packages have no versions, or bypass the cache.
fn names_no_versions(view: &JobView) -> bool {
    let sessions = view.session_names().iter().filter_map(|name| view.noxfile_session(name));
    let mut installs = sessions.flat_map(|session| &session.calls).filter(|call| call.method == "install");
    installs.all(|call| {
        let bypasses = call.args.iter().any(|word| word == "--no-cache-dir");
        let has_version = |word: &str| word.contains(['=', '<', '>', '~', '@']) && !word.starts_with(['<', '-']);
        // Extras stand for any number of packages.
        bypasses || !call.args.iter().any(|word| has_version(word) || word.starts_with(".["))
    })
}

fn reads_lock_file(view: &JobView) -> bool {
    let in_job = view.analysis.installs.iter().any(|job_install| {
        let install = &job_install.install;
        install.installer == PackageInstaller::Other || matches!(install.subcommand.as_str(), "sync" | "run")
    });
    let mut sessions = view.session_names().iter().filter_map(|name| view.noxfile_session(name));
    let reads = |words: &[String]| match words {
        [program, verb, ..] => program == "uv" && matches!(verb.as_str(), "sync" | "run" | "export"),
        _ => false,
    };
    in_job || sessions.any(|session| session.calls.iter().any(|call| reads(&call.args)))
}

/// Returns the requirements files of the project that the job and its sessions install.
fn requirement_files(view: &JobView) -> Vec<String> {
    let in_job = view.analysis.installs.iter().flat_map(|job_install| job_install.install.requirement_files.clone());
    let sessions = view.session_names().iter().filter_map(|name| view.noxfile_session(name));
    let in_sessions = sessions.flat_map(|session| session.requirement_files()).map(str::to_owned);
    let mut files: Vec<String> =
        in_job.chain(in_sessions).map(|file| file.trim_start_matches("./").to_owned()).collect();
    files.retain(|file| !file.contains('$') && view.project.root.join(file).is_file());
    files.sort();
    files.dedup();
    files
}

/// Whether a cache holds downloads or environments, and nothing that other files decide.
fn is_certain_content(cache: &JobCache) -> bool {
    cache.has_only_downloads()
        || (!cache.paths.is_empty() && cache.paths.iter().all(|path| job_cache::is_environment_path(&path.value)))
}
