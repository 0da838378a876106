//! Run recorder: writes events to disk when they happen and the record at the end.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Write};
use std::path::{Path, PathBuf};

use super::number_limits::find_invalid_number;
use super::run_record::{Machine, RunRecord};
use super::{EventKind, RunEvent};
use crate::fs::{FileLock, is_contained_path, open_regular_file, write_atomic};

/// Maximum size of a file of events that is read, in bytes.
const MAX_EVENTS_BYTES: u64 = 512 << 20;
/// Prefix of a run directory's name until it is locked.
pub(super) const STAGING_PREFIX: &str = ".staging-";
/// The file in a run directory that is locked while noxide runs.
pub(super) const RUN_LOCK: &str = "run.lock";

/// Writes the events and the record of one run. A disk error never fails the run: it is stored and reported once.
#[derive(Debug)]
pub struct RunRecorder {
    run_dir: PathBuf,
    events_file: Option<File>,
    /// Events of the record; log growth and restore progress are left out because they only matter for display.
    events: Vec<RunEvent>,
    disk_error: Option<String>,
    _run_lock: Option<FileLock>,
}

impl RunRecorder {
    /// Creates the run directory with its `logs`, and locks it.
    ///
    /// It is created under a staging name first, so that no other process sees it unlocked and mistakes it for a
    /// killed run.
    ///
    /// # Errors
    /// When the directory cannot be created, or exists already.
    pub fn create(run_dir: PathBuf) -> io::Result<Self> {
        if run_dir.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let parent = run_dir.parent().unwrap_or(Path::new("."));
        // Other users may read records, as they may read the rest of the project: as far as the umask allows.
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let staging = tempfile::Builder::new().prefix(STAGING_PREFIX).permissions(permissions).tempdir_in(parent)?;
        fs_err::create_dir(staging.path().join("logs"))?;
        // A file system without locks (some network mounts) still gets a record.
        let run_lock = FileLock::try_acquire(&staging.path().join(RUN_LOCK)).ok().flatten();
        let file: File = fs_err::File::create(staging.path().join("events.jsonl"))?.into();
        fs_err::rename(staging.path(), &run_dir)?;
        // It has its final name now.
        let _ = staging.keep();
        Ok(Self { run_dir, events_file: Some(file), events: Vec::new(), disk_error: None, _run_lock: run_lock })
    }

    /// Returns the path of the run directory.
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// Records one event.
    pub fn record_event(&mut self, event: &RunEvent) {
        if let Some(file) = &mut self.events_file {
            let written = serde_json::to_vec(event).map_err(io::Error::from).and_then(|mut line| {
                line.push(b'\n');
                // One write call per line, so that readers and crashes see complete lines.
                file.write_all(&line)
            });
            if let Err(error) = written {
                self.disk_error = Some(format!("{}: {error}", self.run_dir.join("events.jsonl").display()));
                self.events_file = None;
            }
        }
        if !matches!(event.kind, EventKind::OutputGrew { .. } | EventKind::SessionRestoring { .. }) {
            self.events.push(event.clone());
        }
    }

    /// Takes the last disk error, if any.
    pub fn take_disk_error(&mut self) -> Option<String> {
        self.disk_error.take()
    }

    /// Builds the record of the events so far.
    pub fn build_record(&self) -> Option<RunRecord> {
        RunRecord::from_events(&self.events, Machine::detect())
    }

    /// Writes the record.
    ///
    /// # Errors
    /// When writing fails; the events written so far remain.
    pub fn write_final_record(&mut self) -> io::Result<()> {
        match self.build_record() {
            Some(record) => write_record(&self.run_dir, &record),
            None => Ok(()),
        }
    }
}

/// Writes `record.json` into a run directory, atomically.
///
/// # Errors
/// When the directory is not writable.
pub fn write_record(run: &Path, record: &RunRecord) -> io::Result<()> {
    let mut bytes = serde_json::to_vec_pretty(record)?;
    bytes.push(b'\n');
    write_atomic(&run.join("record.json"), &bytes)
}

/// Opens a file of a run for reading. Nothing but a regular file is opened, and no link is followed.
///
/// # Errors
/// When it does not exist, is not a regular file, or cannot be read.
pub(crate) fn open_run_file(path: &Path) -> io::Result<File> {
    open_regular_file(path)
}

/// Parses a line of a file of events.
///
/// # Errors
/// What is wrong with it: it is not an event, has a number that no run can have, or a log outside of the run.
pub(crate) fn parse_event(line: &[u8]) -> Result<RunEvent, String> {
    let document: serde_json::Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if let Some(problem) = find_invalid_number(&document) {
        return Err(problem);
    }
    let event: RunEvent = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let is_outside = |log: &&Path| !log.as_os_str().is_empty() && !is_contained_path(log);
    match event.kind.log_paths().into_iter().find(is_outside) {
        Some(log) => Err(format!("{} is not in the directory of the run", log.display())),
        None => Ok(event),
    }
}

/// Reads the events of a run; an incomplete last line is ignored.
///
/// # Errors
/// When the file cannot be read, or a complete line is not an event.
pub fn read_events(path: &Path) -> io::Result<Vec<RunEvent>> {
    // Limits memory: a run of an hour has a few megabytes.
    let mut reader = BufReader::new(open_regular_file(path)?.take(MAX_EVENTS_BYTES));
    let mut events = Vec::new();
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        number += 1;
        reader.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Ok(events);
        }
        let damaged =
            |error: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}:{number}: {error}", path.display()));
        events.push(parse_event(&line).map_err(damaged)?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_outside_of_the_run_is_an_error() {
        let attempt = |log: &str| {
            serde_json::json!({
                "number": 1, "outcome": "failed", "reason": "", "exit_status": 1, "signal": null, "start": 0, "end": 1,
                "cpu_ms": null, "peak_memory": null, "slots": [0], "log": log, "log_bytes": 0, "leaky": false,
            })
        };
        let parse = |event: &str, log: &str| {
            let document = serde_json::json!({
                "at": 1, "event": event, "session": "lint", "attempt": attempt(log), "delay_ms": 0, "waits_for": "tests",
            });
            parse_event(document.to_string().as_bytes())
        };
        for event in ["session-retried", "session-held"] {
            assert!(parse(event, "logs/lint.log").is_ok());
            let error = parse(event, "../lint.log").unwrap_err();
            assert_eq!(error, "../lint.log is not in the directory of the run");
        }
    }
}
