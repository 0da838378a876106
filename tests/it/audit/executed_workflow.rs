//! The example's workflow executed by act, before and after its fixes: same result and artifacts, and cache hits.

use std::path::{Path, PathBuf};
use std::process::Command;

use noxide::audit::fix::FixLevel;
use serde_json::Value;

use super::audit_project::apply_fixes;
use crate::support::{CommandDeadline as _, build_once, copy_example, run_checked, shared_dir};

/// The example as a Git repository, with a committed lock file and its own cache directory.
fn repository() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    run_checked(Command::new("git").args(["init", "-q"]).arg(root.path()));
    copy_example(root.path());
    let replace = |file: &str, old: &str, new: &str| {
        let path = root.path().join(file);
        let text = fs_err::read_to_string(&path).unwrap();
        fs_err::write(path, text.replace(old, new)).unwrap();
    };
    // The workflow must not delete this machine's package lists.
    replace(".forgejo/workflows/ci.yml", " && rm -rf /var/lib/apt/lists/*", "");
    replace("noxfile.py", "/tmp/uv-cache", &root.path().join(".git/uv-cache").display().to_string());
    // One job only, so that it is not merged and the test is short.
    let ci = root.path().join(".forgejo/workflows/ci.yml");
    let text = fs_err::read_to_string(&ci).unwrap();
    let (head, jobs) = text.split_once("  lint:").unwrap();
    let start = jobs.find("  quality:").unwrap();
    let end = jobs.find("\n  unit_tests:").unwrap();
    fs_err::write(&ci, format!("{head}{}", &jobs[start..end])).unwrap();
    replace(".gitignore", "uv.lock", "");
    fs_err::write(root.path().join("uv.lock"), "version = 1\n").unwrap();
    commit(root.path());
    root
}

fn commit(root: &Path) {
    let git = |words: &[&str]| run_checked(Command::new("git").args(words).current_dir(root));
    git(&["add", "-A"]);
    git(&["-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "x"]);
}

/// Result of a run: exit status, number of artifacts, and log.
struct Ran {
    exit: i64,
    artifacts: usize,
    log: String,
}

/// Runs one job of the workflow with act and its cache server; `apt-get` is replaced by a stub, so that this machine does not change.
fn run(work: &Path, root: &Path, more: &[&str]) -> Ran {
    let bin = build_once("acttools-bin", |dir| {
        fs_err::create_dir_all(dir).unwrap();
        fs_err::write(dir.join("apt-get"), "#!/bin/sh\nexit 0\n").unwrap();
        run_checked(Command::new("chmod").arg("+x").arg(dir.join("apt-get")));
    });
    let path = std::env::join_paths(
        std::iter::once(bin).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/acttools/run-workflow.sh");
    let mut command = Command::new("bash");
    command.arg(kit).arg(work).arg("--repo").arg(root);
    command.args(["--workflows", ".forgejo/workflows/ci.yml", "--job", "quality", "--drop-container", "--job-venv"]);
    command.args(["--label", "docker", "--quiet", "--env", "NOX_DOWNLOAD_PYTHON=never"]).args(more);
    let output = command.env("PATH", path.unwrap()).finish();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let summary = fs_err::read_to_string(work.join("last.json")).unwrap_or_else(|error| panic!("{error}\n{shown}"));
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let log = fs_err::read_to_string(summary["log"].as_str().unwrap()).unwrap();
    Ran { exit: summary["exit"].as_i64().unwrap(), artifacts: summary["artifacts"].as_array().unwrap().len(), log }
}

#[test]
fn a_fixed_workflow_has_the_same_result_and_its_cache_hits_until_the_lock_file_changes() {
    let root = repository();
    let work: PathBuf = shared_dir().join("acttools");
    fs_err::create_dir_all(&work).unwrap();
    let before = run(&work, root.path(), &["--cold"]);
    assert!(before.log.contains("restore miss") && !before.log.contains("restore hit"));

    let plan = apply_fixes(root.path(), FixLevel::Unsafe);
    assert!(plan.rejected.is_empty(), "{:?}", plan.rejected);
    commit(root.path());
    let cold = run(&work, root.path(), &["--cold"]);
    assert_eq!((cold.exit, before.exit), (0, 0));
    assert!(
        cold.artifacts >= before.artifacts && cold.log.contains("restore miss") && cold.log.contains("save stored")
    );

    let warm = run(&work, root.path(), &["--fresh-home"]);
    assert_eq!(warm.exit, 0);
    assert!(warm.log.contains("restore hit") && warm.log.contains("save skipped"));

    fs_err::write(root.path().join("uv.lock"), "version = 1\nrevision = 2\n").unwrap();
    commit(root.path());
    let changed = run(&work, root.path(), &["--fresh-home"]);
    assert_eq!(changed.exit, 0);
    assert!(!changed.log.contains("restore hit") && changed.log.contains("restore partial"));
}
