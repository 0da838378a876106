//! The folder `.noxide`: where runs are kept, which of them are dead, and how many stay.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::history::SessionHistory;
use super::imported_runs::ImportedRuns;
use super::recorder::{STAGING_PREFIX, read_events, write_record};
use super::run_record::{Machine, RunRecord};
use super::temp_dir::remove_run_temp_dir;
use crate::fs::{FileLock, write_atomic};

/// No run's folder takes that long to get its name.
const MAX_STAGING_AGE: Duration = Duration::from_mins(5);

/// The folder that keeps a project's runs.
#[derive(Clone, Debug)]
pub struct RunStore {
    path: PathBuf,
}

/// A run that ended without a record because noxide itself was killed.
#[derive(Debug)]
pub struct CrashedRun {
    /// The run's identifier.
    pub run_id: String,
    /// Its folder.
    pub run_dir: PathBuf,
    /// Held until it is buried: of two that find it only one does.
    _alive_lock: FileLock,
}

impl RunStore {
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
        tempfile::Builder::new().prefix(STAGING_PREFIX).tempfile_in(&runs).map_err(named)?;
        let ignore = path.join(".gitignore");
        if !ignore.exists() {
            write_atomic(&ignore, b"# Made by noxide: runs, logs and history of this checkout.\n*\n")?;
        }
        Ok(Self { path })
    }

    /// The `.noxide` below `root` if it is there; makes nothing.
    pub fn open_existing(root: &Path) -> Option<Self> {
        let path = root.join(".noxide");
        path.join("runs").is_dir().then_some(Self { path })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of one run.
    pub fn run_dir(&self, run: &str) -> PathBuf {
        self.path.join("runs").join(run)
    }

    /// Identifiers of all runs, oldest first.
    pub fn run_ids(&self) -> Vec<String> {
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
    pub fn read_record(&self, run: &str) -> io::Result<RunRecord> {
        RunRecord::read(&self.run_dir(run).join("record.json"))
    }

    /// What sessions usually take, by the newest records, or else by what was imported.
    pub fn load_history(&self) -> SessionHistory {
        // An import that is damaged is no reason not to run.
        let imported = ImportedRuns::read(&self.path).unwrap_or_default();
        let mut records = self.newest_records(SessionHistory::MAX_RUNS);
        records.extend(self.history_record_paths().iter().filter_map(|path| RunRecord::read(path).ok()));
        // Identifiers begin with the time.
        records.sort_by(|one, other| other.run.cmp(&one.run));
        records.dedup_by(|one, other| one.run == other.run);
        records.truncate(SessionHistory::MAX_RUNS);
        SessionHistory::from_records(&records).with_imported_runs(&imported)
    }

    /// Where records of runs elsewhere lie, by which a fresh checkout knows what sessions take.
    pub(crate) fn history_dir(&self) -> PathBuf {
        self.path.join("past")
    }

    /// Puts a record there and leaves the newest [`SessionHistory::RUNS`].
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub(crate) fn add_history_record(&self, record: &RunRecord) -> io::Result<()> {
        fs_err::create_dir_all(self.history_dir())?;
        write_atomic(&self.history_dir().join(format!("{}.json", record.run)), &serde_json::to_vec(record)?)?;
        let remembered = self.history_record_paths();
        let old = remembered.len().saturating_sub(SessionHistory::MAX_RUNS);
        remembered.iter().take(old).try_for_each(fs_err::remove_file)
    }

    /// Files of those records, oldest first.
    fn history_record_paths(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.history_dir()).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect();
        files.sort_unstable();
        files
    }

    /// The newest records first, at most `most`; unreadable ones are passed over.
    pub fn newest_records(&self, most: usize) -> Vec<RunRecord> {
        self.run_ids().iter().rev().filter_map(|run| self.read_record(run).ok()).take(most).collect()
    }

    /// Runs without a record whose noxide no longer lives.
    pub fn find_crashed_runs(&self) -> Vec<CrashedRun> {
        let unfinished = |run: &String| !self.run_dir(run).join("record.json").exists();
        let claimed = |run: String| {
            let path = self.run_dir(&run);
            let claim = FileLock::try_acquire(&path.join("alive")).ok().flatten()?;
            Some(CrashedRun { run_id: run, run_dir: path, _alive_lock: claim })
        };
        self.run_ids().into_iter().filter(unfinished).filter_map(claimed).collect()
    }

    /// Writes the record of a dead run from the events it left; a run that left none is removed.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn recover_crashed_run(&self, dead: &CrashedRun) -> io::Result<()> {
        let events = read_events(&dead.run_dir.join("events.jsonl")).unwrap_or_default();
        match RunRecord::from_events(&events, Machine::detect()) {
            Some(record) => write_record(&dead.run_dir, &record),
            None => {
                remove_run_temp_dir(&dead.run_dir);
                fs_err::remove_dir_all(&dead.run_dir)
            }
        }
    }

    /// Removes the oldest runs until at most `keep` are left; runs still going on stay.
    pub fn prune_runs(&self, keep: usize) {
        let runs = self.run_ids();
        for run in runs.iter().take(runs.len().saturating_sub(keep)) {
            let path = self.run_dir(run);
            let living = matches!(FileLock::try_acquire(&path.join("alive")), Ok(None));
            if !living {
                remove_run_temp_dir(&path);
                // A run that cannot be removed now (read-only, busy) is tried again by the next run.
                let _ = fs_err::remove_dir_all(&path);
            }
        }
        self.remove_stale_staging();
    }

    /// Removes folders of runs that were killed before they had their name.
    fn remove_stale_staging(&self) {
        let Ok(entries) = fs_err::read_dir(self.path.join("runs")) else { return };
        let old = |path: &Path| {
            let changed = fs_err::metadata(path).and_then(|facts| facts.modified());
            changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > MAX_STAGING_AGE))
        };
        let unborn =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(STAGING_PREFIX));
        for path in entries.flatten().map(|entry| entry.path()).filter(unborn).filter(|path| old(path)) {
            let _ = fs_err::remove_dir_all(&path).or_else(|_| fs_err::remove_file(&path));
        }
    }
}
