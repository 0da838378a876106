//! `examples/parcelbook`: its edits apply, its README names the right lines, and it names no Python of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{CommandDeadline as _, copy_example};

fn parcelbook() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/parcelbook")
}

fn lines(file: &str) -> Vec<String> {
    fs_err::read_to_string(parcelbook().join(file)).unwrap().lines().map(str::to_owned).collect()
}

/// The lines of a file that hold a text, counted from 1.
fn places(file: &str, text: &str) -> Vec<usize> {
    lines(file).iter().enumerate().filter(|(_, line)| line.contains(text)).map(|(index, _)| index + 1).collect()
}

#[test]
fn every_edit_applies_alone_and_comes_off_again() {
    let mut edits: Vec<PathBuf> =
        fs_err::read_dir(parcelbook().join("edits")).unwrap().map(|entry| entry.unwrap().path()).collect();
    edits.sort();
    assert_eq!(edits.len(), 11, "edit 02 has no patch");
    let tree = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        // Files of the repository alone, wherever it lies; and not as a part of it.
        command.args(arguments).current_dir(tree.path()).env("GIT_CEILING_DIRECTORIES", tree.path().parent().unwrap());
        command
    };
    copy_example(tree.path());
    for edit in edits {
        for arguments in [["apply", "-p1"].as_slice(), &["apply", "-p1", "--reverse"]] {
            let result = git(arguments).arg(&edit).finish();
            assert!(result.status.success(), "{}: {}", edit.display(), String::from_utf8_lossy(&result.stderr));
        }
    }
}

#[test]
fn the_readme_locates_the_noxfile_lines() {
    for (text, expected) in [
        ("nox.options.reuse_existing_virtualenvs", 13),
        ("nox.options.sessions", 14),
        ("UV_CACHE_DIR", 18),
        ("DEFAULT_PYTHON = ", 20),
        ("COVERAGE_THRESHOLD = ", 23),
        ("def _default_processes", 27),
        ("def unit_tests", 93),
        ("def coverage_report", 128),
    ] {
        assert_eq!(places("noxfile.py", text), [expected], "{text}");
    }
    assert_eq!(places("noxfile.py", "session.run(\"vulture\")"), [83, 89]);
    assert_eq!(places("noxfile.py", "reuse_venv=True").len(), 12);
}

#[test]
fn the_readme_locates_the_workflow_lines() {
    let ci = ".forgejo/workflows/ci.yml";
    assert_eq!(places(ci, "actions/cache@"), [25, 58, 90, 123, 158, 193, 225, 291, 324]);
    assert_eq!(places(ci, "key: "), [28, 61, 93, 126, 161, 196, 228, 294, 327]);
    assert_eq!(places(ci, "restore-keys:"), [29, 62, 94, 127, 162, 197, 229, 295, 328]);
    assert_eq!(places(ci, "timeout-minutes"), [315]);
    let counts = [ci, ".forgejo/workflows/nightly-quality.yml", ".forgejo/workflows/release.yml"];
    assert_eq!(counts.map(|file| lines(file).len()).iter().sum::<usize>(), 402);
}

#[test]
fn sessions_use_the_python_that_runs_nox() {
    let noxfile = lines("noxfile.py").join("\n");
    assert!(noxfile.contains(r#"f"{sys.version_info.major}.{sys.version_info.minor}""#));
    assert!(!noxfile.contains("3.11"), "a fixed version would skip every session on other machines, and return 0");
}

#[test]
fn the_lock_advice_is_reported_once_and_its_edit_removes_all() {
    let tables = places("pyproject.toml", "[tool.noxide");
    assert_eq!(tables.len(), 4);
    let taken = lines("edits/12-no-locks.patch");
    assert_eq!(taken.iter().filter(|line| line.starts_with("-[tool.noxide")).count(), tables.len());
}
