//! The recorder: writes events to disk as they come and the record at the end.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use super::record::{Machine, Record};
use super::{Event, Fact};
use crate::fs::{Claim, write_atomic};

/// How the name of a run's folder begins until it is claimed.
pub(super) const UNBORN: &str = ".unborn-";

/// Writes one run's events and record. A disk that fails never fails the run: it is remembered and said once.
#[derive(Debug)]
pub struct Recorder {
    folder: PathBuf,
    file: Option<File>,
    /// What the record is made of; output events are left out, they only matter to screens.
    events: Vec<Event>,
    trouble: Option<String>,
    _alive: Option<Claim>,
}

impl Recorder {
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
        let made = tempfile::Builder::new().prefix(UNBORN).tempdir_in(place)?;
        // Others of this machine may read records, as they may the rest of the tree.
        fs_err::set_permissions(made.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        fs_err::create_dir(made.path().join("logs"))?;
        // A file system without locks (some network mounts) still gets its record.
        let alive = Claim::take(&made.path().join("alive")).ok().flatten();
        let file: File = fs_err::File::create(made.path().join("events.jsonl"))?.into();
        fs_err::rename(made.path(), &folder)?;
        // Its name is no temporary one any more.
        let _ = made.keep();
        Ok(Self { folder, file: Some(file), events: Vec::new(), trouble: None, _alive: alive })
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps one event.
    pub fn event(&mut self, event: &Event) {
        if let Some(file) = &mut self.file {
            let written = serde_json::to_vec(event).map_err(io::Error::from).and_then(|mut line| {
                line.push(b'\n');
                // One write call a line: a reader or a crash sees whole lines.
                file.write_all(&line)
            });
            if let Err(error) = written {
                self.trouble = Some(format!("{}: {error}", self.folder.join("events.jsonl").display()));
                self.file = None;
            }
        }
        if !matches!(event.fact, Fact::OutputGrew { .. } | Fact::SessionRestoring { .. }) {
            self.events.push(event.clone());
        }
    }

    /// What went wrong on disk since last asked.
    pub fn trouble(&mut self) -> Option<String> {
        self.trouble.take()
    }

    /// The run so far as a record.
    pub fn record(&self) -> Option<Record> {
        Record::fold(&self.events, Machine::here())
    }

    /// Writes the record.
    ///
    /// # Errors
    /// When the disk refuses; the events written so far stay.
    pub fn close(&mut self) -> io::Result<()> {
        match self.record() {
            Some(record) => write_record(&self.folder, &record),
            None => Ok(()),
        }
    }
}

/// Writes `record.json` into a run's folder, whole or not at all.
///
/// # Errors
/// When the folder cannot be written to.
pub fn write_record(run: &Path, record: &Record) -> io::Result<()> {
    let mut bytes = serde_json::to_vec_pretty(record)?;
    bytes.push(b'\n');
    write_atomic(&run.join("record.json"), &bytes)
}

/// Reads the events of a run; a last line cut short by a crash is left out.
///
/// # Errors
/// When the file cannot be read, or a whole line is no event.
pub fn read_events(path: &Path) -> io::Result<Vec<Event>> {
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
