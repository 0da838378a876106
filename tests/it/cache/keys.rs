//! Session keys on a copy of the example: a change is a miss for exactly the sessions it affects.

use std::io::Write as _;
use std::process::Command;

use serde_json::Value;

use super::lock_files::locked_parcelbook;
use crate::support::{CommandDeadline as _, NoxideRun, Project, noxide_in, run_checked, venv};

/// The sessions that take little time.
const QUICK: [&str; 4] = ["lint", "format", "docs", "complexity"];

/// A copy of the locked example with separate caches.
fn parcelbook() -> Project {
    let project = Project::empty();
    run_checked(Command::new("cp").arg("-R").arg(format!("{}/.", locked_parcelbook().display())).arg(project.root()));
    project
}

fn noxide(project: &Project, arguments: &[&str]) -> Command {
    let mut command = noxide_in(project.root(), arguments);
    let temp_dir = project.outer_dir();
    command.env("NOXIDE_CACHE_DIR", temp_dir.join("caches")).env("UV_CACHE_DIR", temp_dir.join("uv"));
    command.env_remove("GITHUB_REPOSITORY").env_remove("NOXIDE_LOCKED").env_remove("NOXIDE_CACHE");
    command
}

/// `cache key --format json` of the quick sessions.
fn keys(project: &Project, more: &[&str]) -> Value {
    let mut arguments = vec!["cache", "key", "--format", "json"];
    arguments.extend(more);
    arguments.push("-s");
    arguments.extend(QUICK);
    let done = noxide(project, &arguments).finish();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Sessions that miss, each with the inputs that differ.
fn misses(keys: &Value) -> Vec<String> {
    let sessions = keys["sessions"].as_array().unwrap().iter().filter(|session| session["hit"] == false);
    sessions
        .map(|session| {
            let differences = session["differences"].as_array().unwrap().iter();
            let named: Vec<String> = differences
                .map(|d| format!("{} {}", d["kind"].as_str().unwrap(), d["name"].as_str().unwrap()))
                .collect();
            format!("{}: {}", session["session"].as_str().unwrap(), named.join(", "))
        })
        .collect()
}

fn change(project: &Project, file: &str, from: &str, to: &str) {
    let text = fs_err::read_to_string(project.root().join(file)).unwrap();
    assert!(text.contains(from), "{file} has no {from}");
    project.write(file, text.replace(from, to));
}

/// All cases: cold, warm, one package, `[tool.ruff]`, an install line, another Python.
fn hits_and_misses(locked: bool) {
    let project = parcelbook();
    let flags: &[&str] = if locked { &["--locked"] } else { &[] };
    // Cold: nothing was ever installed.
    let cold = keys(&project, flags);
    assert_eq!(misses(&cold), ["lint: ", "format: ", "docs: ", "complexity: "]);
    let mut run = vec!["run", "-s"];
    run.extend(QUICK);
    run.extend(flags);
    run.extend(["--", "--check"]);
    let ran = NoxideRun::finish(&mut noxide(&project, &run));
    assert_eq!(ran.code(), 0, "{}", ran.text);
    // Warm.
    let warm = keys(&project, flags);
    assert_eq!(misses(&warm), [""; 0]);
    assert_eq!(warm["key"], cold["key"], "a key is of facts, not of what happened");
    // `[tool.ruff]`, comments and layout.
    change(&project, "pyproject.toml", "line-length = 88", "line-length = 100 # wide");
    assert_eq!(keys(&project, flags)["key"], cold["key"]);
    // One package of the lock file, in the closure of two sessions.
    change(&project, "uv.lock", "name = \"ruff\"\nversion = \"0.15.0\"", "name = \"ruff\"\nversion = \"0.15.99\"");
    let moved = keys(&project, flags);
    assert_eq!(misses(&moved), ["lint: locked-package ruff", "format: locked-package ruff"]);
    assert_ne!(moved["key"], cold["key"]);
    assert_eq!(moved["prefix"], cold["prefix"], "a prefix finds the state before");
    change(&project, "uv.lock", "0.15.99", "0.15.0");
    // An install line, of one session.
    change(&project, "noxfile.py", "radon>=6.0", "radon>=6.0.1");
    assert_eq!(misses(&keys(&project, flags)), ["complexity: install-command 01"]);
    change(&project, "noxfile.py", "radon>=6.0.1", "radon>=6.0");
    // Commands of a session are not part of its key.
    change(&project, "noxfile.py", "\"-a\", \"-nc\"", "\"-a\", \"-nb\"");
    assert_eq!(misses(&keys(&project, flags)), [""; 0]);
    // A table of one extra, and one of all that install the project.
    change(&project, "pyproject.toml", "\"mkdocs>=1.6\"", "\"mkdocs>=1.5\"");
    assert_eq!(misses(&keys(&project, flags)), ["docs: pyproject-table project.optional-dependencies.docs"]);
    change(&project, "pyproject.toml", "\"mkdocs>=1.5\"", "\"mkdocs>=1.6\"");
    change(&project, "pyproject.toml", "hatchling>=1.27", "hatchling>=1.26");
    let table = "pyproject-table build-system";
    let all = ["lint", "format", "docs"].map(|session| format!("{session}: {table}"));
    assert_eq!(misses(&keys(&project, flags)), all, "complexity does not install the project");
    change(&project, "pyproject.toml", "hatchling>=1.26", "hatchling>=1.27");
    // With and without the lock file are two states.
    let other: &[&str] = if locked { &["--no-locked"] } else { &["--locked"] };
    assert_eq!(misses(&keys(&project, other))[0], "lint: lock-file-mode locked");
    assert_eq!(keys(&project, flags)["key"], cold["key"]);
    another_python(&project, flags, &cold);
}

/// Another Python is another state, of all sessions.
fn another_python(project: &Project, flags: &[&str], cold: &Value) {
    let mine = cold["sessions"][0]["inputs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["kind"] == "python" && f["name"] == "version");
    let mine = mine.unwrap()["value"].as_str().unwrap().to_owned();
    let find = |version: &str| {
        let mut uv = Command::new(venv().join("bin/uv"));
        uv.args(["python", "find", "--no-python-downloads", "--system", version]).current_dir(project.root());
        uv.finish().status.success()
    };
    let Some(other) = ["3.13", "3.12", "3.11", "3.10"].into_iter().find(|v| !mine.starts_with(v) && find(v)) else {
        // The log names what is skipped.
        let mut log = std::io::stderr();
        writeln!(log, "skipped in part: there is only one Python here").unwrap();
        return;
    };
    let mut arguments = vec!["cache", "key", "--format", "json"];
    arguments.extend(flags);
    arguments.extend(["-s", "complexity"]);
    let done = noxide(project, &arguments).env("FIXTURE_PYTHON", other).finish();
    let keys: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(misses(&keys), ["complexity: python abi, python version"]);
    assert_ne!(keys["prefix"], cold["prefix"]);
}

#[test]
fn a_change_misses_only_the_sessions_it_affects() {
    hits_and_misses(false);
}

#[test]
fn a_change_misses_only_the_sessions_it_affects_with_locked_installs() {
    hits_and_misses(true);
}

#[test]
fn a_fresh_checkout_restores_its_packages_from_the_store() {
    let project = parcelbook();
    let run = |more: &[&str]| {
        let mut arguments = vec!["run", "-s", "lint", "complexity"];
        arguments.extend(more);
        let ran = NoxideRun::finish(&mut noxide(&project, &arguments));
        assert_eq!(ran.code(), 0, "{}", ran.text);
        ran.text
    };
    let used = |name: &str| {
        let record = project.newest_record();
        let session = record.sessions.into_iter().find(|session| session.spec.name.as_str() == name).unwrap();
        session.result.unwrap().cache.unwrap()
    };
    let clean = || {
        for directory in [project.outer_dir().join("uv"), project.root().join(".nox")] {
            fs_err::remove_dir_all(directory).unwrap();
        }
    };
    run(&["--locked"]);
    assert!(used("lint").hits == 0 && used("lint").misses > 5, "{:?}", used("lint"));
    assert!(used("complexity").miss_reason.contains("no earlier install on this machine"), "{:?}", used("complexity"));
    // Like a fresh checkout: neither uv's cache nor environments.
    clean();
    let text = run(&["--locked"]);
    assert!(text.contains("cache: ") && text.contains("restored"), "{text}");
    let lint = used("lint");
    assert!(
        lint.misses == 0 && lint.hits > 5 && lint.restored_bytes > 1_000_000 && lint.miss_reason.is_empty(),
        "{lint:?}"
    );
    let version = run_checked(Command::new(project.root().join(".nox/lint/bin/ruff")).arg("--version"));
    assert_eq!(version.trim(), "ruff 0.15.0");
    // Without the lock file, the packages of the last run are restored, with a message that the state differs.
    clean();
    let before = run(&[]);
    assert!(used("lint").miss_reason.starts_with("changed: lock-file-mode locked"), "{:?}", used("lint"));
    clean();
    let text = run(&[]);
    let lint = used("lint");
    assert!(lint.misses == 0 && lint.hits > 5 && lint.miss_reason.is_empty(), "{lint:?}\n{before}\n{text}");
    // Off is off.
    let ran = NoxideRun::finish(&mut noxide(&project, &["run", "-s", "complexity", "--cache", "off"]));
    assert!(ran.code() == 0 && project.newest_record().sessions[0].result.as_ref().unwrap().cache.is_none());
}

#[test]
fn a_failing_cache_fails_a_run_only_when_required() {
    let project = parcelbook();
    fs_err::write(project.outer_dir().join("file"), "").unwrap();
    let run = |mode: &str| {
        let mut command = noxide(&project, &["run", "-s", "complexity", "--cache", mode]);
        command.env("NOXIDE_CACHE_DIR", project.outer_dir().join("file"));
        NoxideRun::finish(&mut command)
    };
    let ran = run("auto");
    assert!(ran.code() == 0 && ran.text.contains("the cache is not used: "), "{}", ran.text);
    let ran = run("require");
    assert!(ran.code() == 3 && ran.text.contains("the cache cannot be used: "), "{}", ran.text);
}

#[test]
fn the_key_is_one_line_and_explains_itself() {
    let project = parcelbook();
    let text = |arguments: &[&str]| {
        let done = noxide(&project, arguments).finish();
        (
            done.status.code(),
            String::from_utf8_lossy(&done.stdout).into_owned(),
            String::from_utf8_lossy(&done.stderr).into_owned(),
        )
    };
    let (code, key, _) = text(&["cache", "key", "-s", "lint"]);
    assert!(code == Some(0) && key.starts_with("nx2-parcelbook-linux-") && key.lines().count() == 1, "{key}");
    assert!(key.contains("-uv0.") && key.contains("-cpython-3") && key.contains("-lint-"), "{key}");
    let (_, explained, _) = text(&["cache", "key", "-s", "lint", "--explain"]);
    assert!(
        explained.starts_with(&key) && explained.contains("lint  miss: no earlier install on this machine"),
        "{explained}"
    );
    for line in [
        "install-command   01 = uv pip install .[lint]",
        "pyproject-table   project.dependencies = ",
        "python            version = 3.",
        "lock-file-mode    locked = no",
    ] {
        assert!(explained.contains(line), "{line}: {explained}");
    }
    assert!(explained.contains("more (--format json lists all)"), "{explained}");
    project.write("uv.lock", "version = 7\n");
    let (code, other, error) = text(&["cache", "key", "-s", "lint"]);
    assert!(code == Some(0) && other != key && error.contains("lock format version 7 is not supported"), "{error}");
    project.write("pyproject.toml", "");
    project.write("noxfile.py", "import nox\n@nox.session(venv_backend='none')\ndef one(session): pass\n");
    assert_eq!(text(&["cache", "key"]).0, Some(4));
}
