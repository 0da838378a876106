//! Runs of act: a project's workflow, executed on this machine with a cache server.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{CommandDeadline as _, build_once, tool_path, write_script};

/// A run of which every job passed.
pub(super) struct ActRun {
    pub(super) log: String,
    /// Number of uploaded artifacts.
    pub(super) artifacts: usize,
}

/// Runs the workflows of a project with act; `apt-get` is replaced by a stub, so that this machine does not change.
pub(super) fn run_act(work: &Path, root: &Path, arguments: &[&str]) -> ActRun {
    let stubs = build_once("act-stubs", |dir| {
        fs_err::create_dir_all(dir).unwrap();
        write_script(&dir.join("apt-get"), "#!/bin/sh\nexit 0\n");
    });
    let path = std::env::join_paths(std::iter::once(stubs).chain(std::env::split_paths(&tool_path()))).unwrap();
    let mut command = Command::new("bash");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/acttools/run-workflow.sh"));
    command.arg(work).arg("--repo").arg(root).args(["--label", "docker", "--quiet"]);
    command.args(["--env", "NOX_DOWNLOAD_PYTHON=never", "--env", "UV_PYTHON_DOWNLOADS=never"]).args(arguments);
    for name in ["UV_CACHE_DIR", "NOXIDE_CACHE_DIR", "NOXIDE_REMOTE", "CI"] {
        command.env_remove(name);
    }
    let output = command.env("PATH", path).finish();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let summary = fs_err::read_to_string(work.join("last.json")).unwrap_or_else(|error| panic!("{error}\n{shown}"));
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let log = fs_err::read_to_string(summary["log"].as_str().unwrap()).unwrap();
    assert_eq!(summary["exit"], 0, "{shown}\n{log}");
    ActRun { log, artifacts: summary["artifacts"].as_array().unwrap().len() }
}
