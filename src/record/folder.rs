//! The folder `.noxide`: where runs are kept, which of them are dead, and how many stay.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::history::History;
use super::imported::Imported;
use super::record::{Machine, Record};
use super::recorder::{UNBORN, read_events, write_record};
use super::scratch::remove_scratch;
use crate::fs::{Claim, write_atomic};

/// No run's folder takes that long to get its name.
const BIRTH: Duration = Duration::from_mins(5);

/// The folder that keeps a project's runs.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// A run that ended without a record because noxide itself was killed.
#[derive(Debug)]
pub struct DeadRun {
    /// The run's identifier.
    pub run: String,
    /// Its folder.
    pub path: PathBuf,
    /// Held until it is buried: of two that find it only one does.
    _claim: Claim,
}

impl Folder {
    /// Opens `.noxide` below `root`, making it with a `.gitignore` of its own.
    ///
    /// # Errors
    /// When it cannot be made or written to (a read-only tree).
    pub fn open(root: &Path) -> io::Result<Self> {
        let path = root.join(".noxide");
        let runs = path.join("runs");
        fs_err::create_dir_all(&runs)?;
        // One that is there already may be read-only.
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("cannot write to {}: {error}", runs.display()));
        tempfile::Builder::new().prefix(UNBORN).tempfile_in(&runs).map_err(named)?;
        let ignore = path.join(".gitignore");
        if !ignore.exists() {
            write_atomic(&ignore, b"# Made by noxide: runs, logs and history of this checkout.\n*\n")?;
        }
        Ok(Self { path })
    }

    /// The `.noxide` below `root` if it is there; makes nothing.
    pub fn existing(root: &Path) -> Option<Self> {
        let path = root.join(".noxide");
        path.join("runs").is_dir().then_some(Self { path })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of one run.
    pub fn run(&self, run: &str) -> PathBuf {
        self.path.join("runs").join(run)
    }

    /// Identifiers of all runs, oldest first.
    pub fn runs(&self) -> Vec<String> {
        let Ok(entries) = fs_err::read_dir(self.path.join("runs")) else { return Vec::new() };
        let mut runs: Vec<String> = entries
            .flatten()
            .filter(|entry| entry.path().is_dir())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .collect();
        runs.sort_unstable();
        runs
    }

    /// The record of one run.
    ///
    /// # Errors
    /// When there is none, or it cannot be read as a record of a version this program knows.
    pub fn record(&self, run: &str) -> io::Result<Record> {
        Record::read(&self.run(run).join("record.json"))
    }

    /// What sessions usually take, by the newest records, or else by what was imported.
    pub fn history(&self) -> History {
        // An import that is damaged is no reason not to run.
        let imported = Imported::read(&self.path).unwrap_or_default();
        let mut records = self.newest(History::RUNS);
        records.extend(self.remembered().iter().filter_map(|path| Record::read(path).ok()));
        // Identifiers begin with the time.
        records.sort_by(|one, other| other.run.cmp(&one.run));
        records.dedup_by(|one, other| one.run == other.run);
        records.truncate(History::RUNS);
        History::new(&records).lend(&imported)
    }

    /// Where records of runs elsewhere lie, by which a fresh checkout knows what sessions take.
    pub fn past(&self) -> PathBuf {
        self.path.join("past")
    }

    /// Puts a record there and leaves the newest [`History::RUNS`].
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn remember(&self, record: &Record) -> io::Result<()> {
        fs_err::create_dir_all(self.past())?;
        write_atomic(&self.past().join(format!("{}.json", record.run)), &serde_json::to_vec(record)?)?;
        let remembered = self.remembered();
        let old = remembered.len().saturating_sub(History::RUNS);
        remembered.iter().take(old).try_for_each(fs_err::remove_file)
    }

    /// Files of those records, oldest first.
    fn remembered(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.past()).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect();
        files.sort_unstable();
        files
    }

    /// The newest records first, at most `most`; unreadable ones are passed over.
    pub fn newest(&self, most: usize) -> Vec<Record> {
        self.runs().iter().rev().filter_map(|run| self.record(run).ok()).take(most).collect()
    }

    /// Runs without a record whose noxide no longer lives.
    pub fn dead(&self) -> Vec<DeadRun> {
        let unfinished = |run: &String| !self.run(run).join("record.json").exists();
        let claimed = |run: String| {
            let path = self.run(&run);
            let claim = Claim::take(&path.join("alive")).ok().flatten()?;
            Some(DeadRun { run, path, _claim: claim })
        };
        self.runs().into_iter().filter(unfinished).filter_map(claimed).collect()
    }

    /// Writes the record of a dead run from the events it left; a run that left none is removed.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn bury(&self, dead: &DeadRun) -> io::Result<()> {
        let events = read_events(&dead.path.join("events.jsonl")).unwrap_or_default();
        match Record::fold(&events, Machine::here()) {
            Some(record) => write_record(&dead.path, &record),
            None => {
                remove_scratch(&dead.path);
                fs_err::remove_dir_all(&dead.path)
            }
        }
    }

    /// Removes the oldest runs until at most `keep` are left; runs still going on stay.
    pub fn prune(&self, keep: usize) {
        let runs = self.runs();
        for run in runs.iter().take(runs.len().saturating_sub(keep)) {
            let path = self.run(run);
            let living = matches!(Claim::take(&path.join("alive")), Ok(None));
            if !living {
                remove_scratch(&path);
                // A run that cannot be removed now (read-only, busy) is tried again by the next run.
                let _ = fs_err::remove_dir_all(&path);
            }
        }
        self.remove_unborn();
    }

    /// Removes folders of runs that were killed before they had their name.
    fn remove_unborn(&self) {
        let Ok(entries) = fs_err::read_dir(self.path.join("runs")) else { return };
        let old = |path: &Path| {
            let changed = fs_err::metadata(path).and_then(|facts| facts.modified());
            changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > BIRTH))
        };
        let unborn = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(UNBORN));
        for path in entries.flatten().map(|entry| entry.path()).filter(unborn).filter(|path| old(path)) {
            let _ = fs_err::remove_dir_all(&path).or_else(|_| fs_err::remove_file(&path));
        }
    }
}
