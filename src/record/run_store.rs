//! Run store: run directories, records and history; recovery of killed runs and pruning.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::history::SessionHistory;
use super::imported_runs::ImportedRuns;
use super::recorder::{RUN_LOCK, STAGING_PREFIX, read_events, write_record};
use super::run_id::{is_run_id, plausible_run_order};
use super::run_record::{Machine, RunRecord};
use super::temp_dir::remove_run_temp_dir;
use crate::fs::{FileLock, RootDir, create_dirs, write_atomic};
use crate::project::{NoxfileManifest, RUN_DATA_DIR};
use crate::text::to_single_line;

/// An older staging directory is abandoned.
const MAX_STAGING_AGE: Duration = Duration::from_mins(5);

/// Maximum size of the records of earlier runs that are read together: a checkout may contain some that noxide did not
/// write there.
const MAX_RECORDS_BYTES: u64 = 64 << 20;

/// Subdirectories in which noxide replaces and removes files.
const SUBDIRECTORIES: [&str; 5] = ["runs", "restored", "trace", "trace/sessions", "coverage"];

/// The run data directory of a project. Neither it nor its subdirectories may be symbolic links.
#[derive(Clone, Debug)]
pub struct RunStore {
    path: PathBuf,
}

/// A run without a record because noxide itself was killed.
#[derive(Debug)]
pub struct KilledRun {
    /// Run identifier.
    pub run_id: String,
    /// Run directory.
    pub run_dir: PathBuf,
    /// Held during the recovery, so that only one process recovers it.
    _run_lock: FileLock,
}

impl RunStore {
    /// Opens the store in a directory and creates it, with a `.gitignore`, if needed.
    ///
    /// # Errors
    /// When it cannot be created, is not writable, or is or has a symbolic link.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        refuse_links(&path)?;
        let runs = path.join("runs");
        create_dirs(&runs)?;
        // An existing directory may be read-only.
        let write_error =
            |error: io::Error| io::Error::new(error.kind(), format!("cannot write to {}: {error}", runs.display()));
        tempfile::Builder::new().prefix(STAGING_PREFIX).tempfile_in(&runs).map_err(write_error)?;
        let ignore = path.join(".gitignore");
        if !ignore.exists() {
            write_atomic(&ignore, b"# Created by noxide: runs, logs and history of this checkout.\n*\n")?;
        }
        Ok(Self { path })
    }

    /// Opens the store in a directory if it exists and is no symbolic link; creates nothing.
    pub fn open_existing(path: PathBuf) -> Option<Self> {
        (path.join("runs").is_dir() && refuse_links(&path).is_ok()).then_some(Self { path })
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the directory of a run.
    pub fn run_dir(&self, run: &str) -> PathBuf {
        self.path.join("runs").join(run)
    }

    fn record_path(&self, run: &str) -> PathBuf {
        self.run_dir(run).join("record.json")
    }

    /// Returns the identifiers of all runs, oldest first; those from a clock in the future are before all others.
    pub fn run_ids(&self) -> Vec<String> {
        let Ok(entries) = fs_err::read_dir(self.path.join("runs")) else { return Vec::new() };
        let mut runs: Vec<String> = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|file_type| file_type.is_dir()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .collect();
        runs.sort_by_cached_key(|run| plausible_run_order(run));
        runs
    }

    /// Returns whether a directory is a run: it has the name of one, and a file that noxide creates in every run.
    fn is_run(&self, name: &str) -> bool {
        let is_file = |file: &str| self.run_dir(name).join(file).symlink_metadata().is_ok_and(|found| found.is_file());
        is_run_id(name) && [RUN_LOCK, "record.json"].into_iter().any(is_file)
    }

    /// Returns whether noxide is still running a run.
    pub(crate) fn is_active(&self, run: &str) -> bool {
        matches!(FileLock::try_acquire(&self.run_dir(run).join(RUN_LOCK)), Ok(None))
    }

    /// Opens the directory of all runs, to remove some.
    fn open_runs(&self) -> io::Result<RootDir> {
        RootDir::open_no_follow(&self.path.join("runs"))
    }

    /// Reads the record of a run.
    ///
    /// # Errors
    /// When it does not exist, is damaged or has another version.
    pub fn read_record(&self, run: &str) -> io::Result<RunRecord> {
        RunRecord::read(&self.record_path(run))
    }

    /// Loads the usual times of sessions from the newest records, else from imported runs.
    pub fn load_history(&self) -> SessionHistory {
        // A damaged import must not prevent a run.
        let imported = ImportedRuns::read(&self.path).unwrap_or_default();
        let mut records = self.newest_records(SessionHistory::MAX_RUNS);
        records.extend(read_records(self.restored_record_paths().into_iter().rev(), SessionHistory::MAX_RUNS));
        // Identifiers begin with the time.
        records.sort_by_cached_key(|record| std::cmp::Reverse(plausible_run_order(&record.run_id)));
        records.dedup_by(|one, other| one.run_id == other.run_id);
        records.truncate(SessionHistory::MAX_RUNS);
        SessionHistory::from_records(&records).with_imported_runs(&imported)
    }

    /// Returns the directory of records from other machines, which provide usual times to a fresh checkout.
    pub(crate) fn restored_records_dir(&self) -> PathBuf {
        self.path.join("restored")
    }

    /// Adds a record from another machine and removes all but the newest [`SessionHistory::MAX_RUNS`].
    ///
    /// # Errors
    /// When its identifier is not that of a run, or the directory is not writable.
    pub(crate) fn add_restored_record(&self, record: &RunRecord) -> io::Result<()> {
        if !is_run_id(&record.run_id) {
            return Err(io::Error::other(format!(
                "`{}` is not the identifier of a run",
                to_single_line(&record.run_id)
            )));
        }
        fs_err::create_dir_all(self.restored_records_dir())?;
        write_atomic(
            &self.restored_records_dir().join(format!("{}.json", record.run_id)),
            &serde_json::to_vec(record)?,
        )?;
        let paths = self.restored_record_paths();
        let excess = paths.len().saturating_sub(SessionHistory::MAX_RUNS);
        paths.iter().take(excess).try_for_each(fs_err::remove_file)
    }

    /// Returns the record files from other machines, oldest first.
    fn restored_record_paths(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.restored_records_dir()).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        files.sort_by_cached_key(|path| plausible_run_order(&path.file_stem().unwrap_or_default().to_string_lossy()));
        files
    }

    /// Returns the newest records, newest first and at most `limit`; unreadable ones, and those beyond
    /// `MAX_RECORDS_BYTES`, are skipped.
    pub fn newest_records(&self, limit: usize) -> Vec<RunRecord> {
        let runs = self.run_ids();
        read_records(runs.iter().rev().map(|run| self.record_path(run)), limit)
    }

    /// Returns the records of runs before this one, newest first and at most `limit`; unreadable ones, and those
    /// beyond `MAX_RECORDS_BYTES`, are skipped.
    pub(crate) fn records_before(&self, run: &str, limit: usize) -> Vec<RunRecord> {
        let runs = self.run_ids();
        let order = plausible_run_order(run);
        let earlier = runs.iter().rev().filter(|id| plausible_run_order(id) < order);
        read_records(earlier.map(|id| self.record_path(id)), limit)
    }

    /// Loads the usual times of the sessions of a project; creates nothing.
    pub(crate) fn load_project_history(manifest: &NoxfileManifest) -> SessionHistory {
        Self::open_existing(manifest.run_data_dir()).map(|store| store.load_history()).unwrap_or_default()
    }

    /// Finds runs without a record whose noxide is not running any more.
    pub fn find_killed_runs(&self) -> Vec<KilledRun> {
        let unfinished = |run: &String| self.is_run(run) && !self.run_dir(run).join("record.json").exists();
        let lock = |run: String| {
            let path = self.run_dir(&run);
            let run_lock = FileLock::try_acquire(&path.join(RUN_LOCK)).ok().flatten()?;
            Some(KilledRun { run_id: run, run_dir: path, _run_lock: run_lock })
        };
        self.run_ids().into_iter().filter(unfinished).filter_map(lock).collect()
    }

    /// Writes the record of a killed run from its events; a run without events is removed.
    ///
    /// # Errors
    /// When the directory is not writable.
    pub fn recover_killed_run(&self, killed: &KilledRun) -> io::Result<()> {
        let events = read_events(&killed.run_dir.join("events.jsonl")).unwrap_or_default();
        match RunRecord::from_events(&events, Machine::detect()) {
            Some(record) => write_record(&killed.run_dir, &record),
            None => {
                remove_run_temp_dir(&killed.run_dir);
                self.open_runs()?.remove_dir(Path::new(&killed.run_id))
            }
        }
    }

    /// Removes the oldest runs until at most `keep` are left; active runs are not removed.
    pub fn prune_runs(&self, keep: usize) {
        let Ok(root) = self.open_runs() else { return };
        let runs: Vec<String> = self.run_ids().into_iter().filter(|run| self.is_run(run)).collect();
        for run in runs.iter().take(runs.len().saturating_sub(keep)) {
            if !self.is_active(run) {
                remove_run_temp_dir(&self.run_dir(run));
                // If this fails (read-only, busy), the next run tries again.
                let _ = root.remove_dir(Path::new(run));
            }
        }
        self.remove_stale_staging(&root);
    }

    /// Removes staging directories of runs killed before they started.
    fn remove_stale_staging(&self, root: &RootDir) {
        let Ok(entries) = fs_err::read_dir(self.path.join("runs")) else { return };
        let old = |path: &Path| {
            let changed = fs_err::symlink_metadata(path).and_then(|metadata| metadata.modified());
            changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > MAX_STAGING_AGE))
        };
        let staging =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(STAGING_PREFIX));
        for path in entries.flatten().map(|entry| entry.path()).filter(staging).filter(|path| old(path)) {
            let name = Path::new(path.file_name().unwrap_or_default());
            let _ = root.remove_dir(name).or_else(|_| root.remove_file(name));
        }
    }
}

/// Reads at most `limit` records; unreadable ones, and those beyond `MAX_RECORDS_BYTES`, are skipped.
fn read_records(paths: impl Iterator<Item = PathBuf>, limit: usize) -> Vec<RunRecord> {
    let mut bytes_left = MAX_RECORDS_BYTES;
    let read = |path: PathBuf| {
        bytes_left = bytes_left.checked_sub(path.symlink_metadata().ok()?.len())?;
        RunRecord::read(&path).ok()
    };
    paths.filter_map(read).take(limit).collect()
}

/// Fails if a run data directory, one above it that noxide creates, or one of its subdirectories is a symbolic link:
/// whoever wrote the project's files could lead noxide to any directory of the user.
fn refuse_links(path: &Path) -> io::Result<()> {
    let above = path.parent().filter(|parent| parent.ends_with(RUN_DATA_DIR)).map(Path::to_path_buf);
    let directories = above.into_iter().chain([path.to_path_buf()]);
    let subdirectories = SUBDIRECTORIES.iter().map(|name| path.join(name));
    match directories.chain(subdirectories).find(|dir| dir.is_symlink()) {
        None => Ok(()),
        Some(link) => {
            let link = link.display();
            Err(io::Error::other(format!("{link} is a symbolic link, which is not followed; remove it")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_a_limit_together() {
        let directory = tempfile::tempdir().unwrap();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/run-3/record.json");
        let record = |name: &str| directory.path().join(name);
        let small = ["a", "b", "c"].map(record);
        for path in &small {
            fs_err::copy(&fixture, path).unwrap();
        }
        assert_eq!(read_records(small.iter().cloned(), 9).len(), 3);
        assert_eq!(read_records(small.iter().cloned(), 2).len(), 2);
        // It is not a record, and leaves no room for others.
        let large = record("large");
        fs_err::File::create(&large).unwrap().set_len(MAX_RECORDS_BYTES).unwrap();
        assert!(read_records([large].into_iter().chain(small), 9).is_empty());
    }
}
