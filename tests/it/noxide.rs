//! The built binary, driven by tests: what it printed, its exit code and the record it left.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use noxide::record::{Outcome, RunRecord, RunStore};

use crate::support::{Project, settings};

/// The binary in a folder, with the test environment's nox and uv and no settings of the caller's own.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_noxide"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for (name, value) in settings() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    for name in
        ["GITHUB_ACTIONS", "FORGEJO_ACTIONS", "GITEA_ACTIONS", "GITHUB_STEP_SUMMARY", "NOXIDE_NOX", "NOX_PARALLEL"]
    {
        command.env_remove(name);
    }
    command
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) record: Option<RunRecord>,
}

impl Ran {
    pub(crate) fn new(output: &Output, folder: &Path) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let record = RunStore::open_existing(folder).and_then(|folder| folder.newest_records(1).pop());
        Self { exit: output.status.code(), out: text(&output.stdout), err: text(&output.stderr), record }
    }

    /// Each session's outcome, by name.
    pub(crate) fn outcomes(&self) -> Vec<(String, Option<Outcome>)> {
        let sessions = self.record.iter().flat_map(|record| &record.sessions);
        let outcome = |session: &noxide::record::RecordedSession| session.result.as_ref().map(|result| result.outcome);
        sessions.map(|session| (session.spec.name.to_string(), outcome(session))).collect()
    }

    /// When a session started and ended, in milliseconds of the run.
    pub(crate) fn times(&self, name: &str) -> (u64, u64) {
        let sessions = self.record.iter().flat_map(|record| &record.sessions);
        let found = sessions.filter(|session| session.spec.name.as_str() == name).find_map(|s| s.result.as_ref());
        let result = found.unwrap_or_else(|| panic!("no result of {name}: {self:?}"));
        (result.attempts[0].start, result.attempts[result.attempts.len() - 1].end)
    }
}

/// Runs the binary in a project and waits.
pub(crate) fn noxide(project: &Project, arguments: &[&str]) -> Ran {
    let output = command(project.root(), arguments).output().unwrap();
    Ran::new(&output, project.root())
}
