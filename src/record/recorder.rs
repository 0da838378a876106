//! The recorder: writes events to disk as they come and the record at the end.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use super::run_record::{Machine, RunRecord};
use super::{EventKind, RunEvent};
use crate::fs::{FileLock, write_atomic};

/// How the name of a run's folder begins until it is claimed.
pub(super) const STAGING_PREFIX: &str = ".unborn-";

/// Writes one run's events and record. A disk that fails never fails the run: it is remembered and said once.
#[derive(Debug)]
pub struct RunRecorder {
    run_dir: PathBuf,
    events_file: Option<File>,
    /// What the record is made of; output events are left out, they only matter to screens.
    events: Vec<RunEvent>,
    disk_error: Option<String>,
    _alive_lock: Option<FileLock>,
}

impl RunRecorder {
    /// Makes the run's folder with its `logs`, and claims it as living.
    ///
    /// It is made under another name first: nobody finds it unclaimed and takes it for that of a dead run.
    ///
    /// # Errors
    /// When the folder cannot be made, or is there already.
    pub fn create(folder: PathBuf) -> io::Result<Self> {
        if folder.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let place = folder.parent().unwrap_or(Path::new("."));
        let made = tempfile::Builder::new().prefix(STAGING_PREFIX).tempdir_in(place)?;
        // Others of this machine may read records, as they may the rest of the tree.
        fs_err::set_permissions(made.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        fs_err::create_dir(made.path().join("logs"))?;
        // A file system without locks (some network mounts) still gets its record.
        let alive = FileLock::try_acquire(&made.path().join("alive")).ok().flatten();
        let file: File = fs_err::File::create(made.path().join("events.jsonl"))?.into();
        fs_err::rename(made.path(), &folder)?;
        // Its name is no temporary one any more.
        let _ = made.keep();
        Ok(Self { run_dir: folder, events_file: Some(file), events: Vec::new(), disk_error: None, _alive_lock: alive })
    }

    /// The run's folder.
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// Keeps one event.
    pub fn record_event(&mut self, event: &RunEvent) {
        if let Some(file) = &mut self.events_file {
            let written = serde_json::to_vec(event).map_err(io::Error::from).and_then(|mut line| {
                line.push(b'\n');
                // One write call a line: a reader or a crash sees whole lines.
                file.write_all(&line)
            });
            if let Err(error) = written {
                self.disk_error = Some(format!("{}: {error}", self.run_dir.join("events.jsonl").display()));
                self.events_file = None;
            }
        }
        if !matches!(event.fact, EventKind::OutputGrew { .. } | EventKind::SessionRestoring { .. }) {
            self.events.push(event.clone());
        }
    }

    /// What went wrong on disk since last asked.
    pub fn take_disk_error(&mut self) -> Option<String> {
        self.disk_error.take()
    }

    /// The run so far as a record.
    pub fn build_record(&self) -> Option<RunRecord> {
        RunRecord::from_events(&self.events, Machine::detect())
    }

    /// Writes the record.
    ///
    /// # Errors
    /// When the disk refuses; the events written so far stay.
    pub fn write_final_record(&mut self) -> io::Result<()> {
        match self.build_record() {
            Some(record) => write_record(&self.run_dir, &record),
            None => Ok(()),
        }
    }
}

/// Writes `record.json` into a run's folder, whole or not at all.
///
/// # Errors
/// When the folder cannot be written to.
pub fn write_record(run: &Path, record: &RunRecord) -> io::Result<()> {
    let mut bytes = serde_json::to_vec_pretty(record)?;
    bytes.push(b'\n');
    write_atomic(&run.join("record.json"), &bytes)
}

/// Reads the events of a run; a last line cut short by a crash is left out.
///
/// # Errors
/// When the file cannot be read, or a whole line is no event.
pub fn read_events(path: &Path) -> io::Result<Vec<RunEvent>> {
    let mut reader = BufReader::new(fs_err::File::open(path)?);
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
        events.push(serde_json::from_slice(&line).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}:{number}: {error}", path.display()))
        })?);
    }
}
