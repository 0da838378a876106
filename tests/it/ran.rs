//! The built binary run once on a project, and what it left.

use std::process::Command;

use noxide::record::{Outcome, RunRecord, RunStore};

use crate::noxide::command;
use crate::support::Project;

/// What noxfiles of these tests begin with.
pub(crate) const HEAD: &str =
    "import nox, os, pathlib, shutil, socket, stat, sys, time\nnox.options.default_venv_backend = 'none'\n";

/// One run of the binary.
pub(crate) struct Ran {
    /// Its exit code.
    pub(crate) code: i32,
    /// Standard output and error stream.
    pub(crate) text: String,
}

/// A project whose noxfile begins with [`HEAD`].
pub(crate) fn project(body: &str) -> Project {
    Project::new(&format!("{HEAD}{body}"))
}

/// A command that runs noxide in a project; arguments are parted by blanks.
pub(crate) fn noxide(project: &Project, arguments: &str) -> Command {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let mut command = command(project.root(), &arguments);
    for name in ["MAKEFLAGS", "MAKELEVEL", "TEST_PROCESSES", "PABOT_PROCESSES", "PYTEST_XDIST_AUTO_NUM_WORKERS"] {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub(crate) fn end(mut command: Command) -> Ran {
    let done = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    Ran { code: done.status.code().unwrap_or(-1), text }
}

/// Runs noxide in a project.
pub(crate) fn run(project: &Project, arguments: &str) -> Ran {
    end(noxide(project, &format!("run {arguments}")))
}

/// The record of the newest run.
pub(crate) fn record(project: &Project) -> RunRecord {
    RunStore::open_existing(project.root()).unwrap().newest_records(1).remove(0)
}

/// The folder of the newest run.
pub(crate) fn folder(project: &Project) -> std::path::PathBuf {
    project.root().join(".noxide/runs").join(record(project).run_id)
}

/// Sessions of the newest run with their outcomes, in order.
pub(crate) fn outcomes(project: &Project) -> Vec<(String, Option<Outcome>)> {
    let outcome = |s: &noxide::record::RecordedSession| s.result.as_ref().map(|result| result.outcome);
    record(project).sessions.iter().map(|s| (s.spec.name.to_string(), outcome(s))).collect()
}

/// The log of a session in the newest run.
pub(crate) fn log(project: &Project, session: &str) -> String {
    let path = folder(project).join("logs").join(format!("{session}.log"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
