//! Lookup of recorded runs: by the start of their identifier, by file, and below directories of artifacts.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::event::RunEvent;
use super::recorder::{RUN_LOCK, read_events};
use super::run_id::{is_run_id, plausible_run_order};
use super::run_record::{Machine, RunRecord};
use super::run_store::RunStore;
use crate::fs::{FileLock, MAX_DOCUMENT_BYTES, RootDir};
use crate::project::{DEFAULT_ENVDIR, RUN_DATA_DIR, is_run_data_dir};

/// Maximum number of runs that are read at once.
const MAX_RUNS: usize = 1_000;

/// Maximum size of the records that are read at once, in bytes.
const MAX_RECORD_BYTES: u64 = 256 << 20;

/// Depth to which directories of artifacts are searched for runs.
const MAX_SEARCH_DEPTH: usize = 8;

/// Directories that are not searched: they have many files, but no runs and no coverage data.
const SKIPPED_DIRS: [&str; 3] = [".git", ".venv", "node_modules"];

/// Errors finding or reading a run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunLookupError {
    /// No run is recorded.
    #[error("no run is recorded in {}", dir.display())]
    NoRuns {
        /// The directory that was searched.
        dir: PathBuf,
    },
    /// No identifier starts with the given text.
    #[error("'{prefix}' matches no run; the last run is {last}")]
    NotFound {
        /// The given text.
        prefix: String,
        /// Identifier of the last run.
        last: String,
    },
    /// Several identifiers start with the given text.
    #[error("'{prefix}' matches {count} runs; use a longer prefix")]
    Ambiguous {
        /// The given text.
        prefix: String,
        /// Number of matching runs.
        count: usize,
    },
    /// A directory to search cannot be read.
    #[error("cannot read directory {}: {source}", dir.display())]
    UnreadableDirectory {
        /// The directory.
        dir: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A record cannot be read.
    #[error("cannot read the record of a run: {0}")]
    Unreadable(#[from] io::Error),
}

impl RunStore {
    /// Finds the run whose identifier is, or starts with, `prefix`; `last` is the newest run, finished or not.
    ///
    /// # Errors
    /// When no run matches, or several do.
    pub(crate) fn find_run(&self, prefix: &str) -> Result<String, RunLookupError> {
        let runs = self.run_ids();
        let Some(last) = runs.last() else { return Err(self.no_runs()) };
        if prefix == "last" {
            return Ok(last.clone());
        }
        if runs.iter().any(|run| run == prefix) {
            return Ok(prefix.to_owned());
        }
        let matches: Vec<&String> = runs.iter().filter(|run| run.starts_with(prefix)).collect();
        match matches.as_slice() {
            [run] => Ok((*run).clone()),
            [] => Err(RunLookupError::NotFound { prefix: prefix.to_owned(), last: last.clone() }),
            several => Err(RunLookupError::Ambiguous { prefix: prefix.to_owned(), count: several.len() }),
        }
    }

    /// Reads the record of a run and returns it with the run directory. `name` is the start of an identifier, `last` (the
    /// newest finished run), or the path of a record file.
    ///
    /// # Errors
    /// When no run matches, several do, or the record cannot be read.
    pub(crate) fn load_run(store: Option<&Self>, name: &str) -> Result<(RunRecord, PathBuf), RunLookupError> {
        let path = Path::new(name);
        if path.is_file() {
            let record = RunRecord::read(path)?;
            let run_dir = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            check_logs(&record, run_dir)?;
            return Ok((record, run_dir.to_path_buf()));
        }
        let store = store.ok_or_else(|| RunLookupError::NoRuns { dir: PathBuf::from(".") })?;
        let run = if name == "last" {
            let is_finished = |run: &String| store.run_dir(run).join("record.json").exists();
            store.run_ids().into_iter().rev().find(is_finished).ok_or_else(|| store.no_runs())?
        } else {
            store.find_run(name)?
        };
        let (record, run_dir) = (store.read_record(&run)?, store.run_dir(&run));
        check_logs(&record, &run_dir)?;
        Ok((record, run_dir))
    }

    fn no_runs(&self) -> RunLookupError {
        RunLookupError::NoRuns { dir: self.path().to_path_buf() }
    }
}

/// Finds the runs below directories, such as downloaded artifacts; of the runs in one run data directory only the newest.
///
/// # Errors
/// When a directory does not exist, or a record cannot be read or has another version.
pub(crate) fn find_runs_below(dirs: &[PathBuf]) -> Result<Vec<(PathBuf, RunRecord)>, RunLookupError> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut known: HashSet<PathBuf> = HashSet::new();
    for dir in dirs {
        // Fails if the directory does not exist: a missing artifact must not go unnoticed.
        let unreadable = |source| RunLookupError::UnreadableDirectory { dir: dir.clone(), source };
        std::fs::read_dir(dir).map_err(unreadable)?;
        let new: Vec<PathBuf> = find_newest_runs(dir)?.into_iter().filter(|run| known.insert(run.clone())).collect();
        found.extend(new);
        check_count(found.len())?;
    }
    check_size(&found)?;
    found.into_iter().map(|run| Ok((run.clone(), read_downloaded_record(&run)?))).collect()
}

/// Finds the runs below a directory; of the runs in one run data directory only the newest is kept, so that the others need
/// no memory.
fn find_newest_runs(dir: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut single: BTreeSet<PathBuf> = BTreeSet::new();
    let mut newest: BTreeMap<PathBuf, ((bool, String), PathBuf)> = BTreeMap::new();
    let walk = WalkDir::new(dir).max_depth(MAX_SEARCH_DEPTH).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(may_contain_runs).flatten() {
        let Some(run) = entry.path().parent() else { continue };
        // A run without a record was killed, unless noxide still runs it.
        let is_run = match entry.file_name().to_str() {
            Some("record.json") => true,
            Some("events.jsonl") => run.join("record.json").symlink_metadata().is_err() && is_killed_run(run, &entry),
            _ => false,
        };
        if !is_run {
            continue;
        }
        let has_run_data = |runs: &&Path| runs.ends_with("runs") && runs.parent().is_some_and(is_run_data_dir);
        if let Some(store) = run.parent().filter(has_run_data) {
            let order = plausible_run_order(&run.file_name().unwrap_or_default().to_string_lossy());
            if newest.get(store).is_none_or(|(known, _)| *known <= order) {
                newest.insert(store.to_path_buf(), (order, run.to_path_buf()));
            }
        } else {
            single.insert(run.to_path_buf());
        }
        check_count(single.len() + newest.len())?;
    }
    single.extend(newest.into_values().map(|(_, run)| run));
    Ok(single)
}

/// Fails if there are more runs than are read at once.
fn check_count(runs: usize) -> io::Result<()> {
    if runs <= MAX_RUNS {
        return Ok(());
    }
    let message = format!("there are more than {MAX_RUNS} runs; merge fewer at once");
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}

/// Fails if the records are too large together: all are held in memory.
fn check_size(runs: &[PathBuf]) -> io::Result<()> {
    let size = |run: &PathBuf| {
        let record = run.join("record.json").symlink_metadata();
        record.or_else(|_| run.join("events.jsonl").symlink_metadata()).map_or(0, |file| file.len())
    };
    let bytes = runs.iter().map(size).fold(0, u64::saturating_add);
    if bytes > MAX_RECORD_BYTES {
        let message = format!("there are {} runs with records of {bytes} bytes together", runs.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(())
}

/// Reads the record of a run directory that may come from another machine.
///
/// # Errors
/// When the record or a log is not a regular file in the directory: a link could lead to any file of this machine.
fn read_downloaded_record(run_dir: &Path) -> io::Result<RunRecord> {
    let path = run_dir.join("record.json");
    if path.symlink_metadata().is_err() {
        return read_killed_run(run_dir);
    }
    if !path.symlink_metadata()?.is_file() {
        return Err(io::Error::other(format!("{} is not a regular file", path.display())));
    }
    let record = RunRecord::read(&path)?;
    check_logs(&record, run_dir)?;
    Ok(record)
}

/// Computes the record of a run whose noxide was killed before it wrote one.
fn read_killed_run(run_dir: &Path) -> io::Result<RunRecord> {
    let path = run_dir.join("events.jsonl");
    if !path.symlink_metadata()?.is_file() {
        return Err(io::Error::other(format!("{} is not a regular file", path.display())));
    }
    if path.symlink_metadata()?.len() > MAX_DOCUMENT_BYTES {
        return Err(io::Error::other(format!("{} has more than {MAX_DOCUMENT_BYTES} bytes", path.display())));
    }
    let events = read_events(&path)?;
    let without_events = || io::Error::other(format!("{} has no event of a run", path.display()));
    let record = RunRecord::from_events(&events, Machine::detect()).ok_or_else(without_events)?;
    if let Some(problem) = record.find_excess() {
        return Err(io::Error::other(format!("{}: {problem}", path.display())));
    }
    check_logs(&record, run_dir)?;
    Ok(record)
}

/// Returns whether a directory without a record is a run in a run data directory, and noxide does not run it any more. So
/// is one whose events are a link or a pipe: a download that lacks a record must not go unnoticed.
fn is_killed_run(run_dir: &Path, events: &DirEntry) -> bool {
    if !events.file_type().is_file() && !events.file_type().is_dir() {
        return true;
    }
    let name = run_dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let store = run_dir.parent().filter(|runs| runs.ends_with("runs")).and_then(Path::parent);
    let lock = run_dir.join(RUN_LOCK);
    let is_active = || lock.is_file() && matches!(FileLock::try_acquire(&lock), Ok(None));
    is_run_id(name) && store.is_some_and(is_run_data_dir) && !is_active()
}

/// Fails if a log that an event names is neither missing nor a regular file in the run directory.
///
/// # Errors
/// When it is something else, or reached through a link.
pub(crate) fn check_event_logs(event: &RunEvent, run_dir: &Path) -> io::Result<()> {
    let logs = event.kind.log_paths();
    if logs.is_empty() { Ok(()) } else { check_log_files(logs, run_dir) }
}

/// Fails if a log is neither missing nor a regular file in the run directory.
fn check_logs(record: &RunRecord, run_dir: &Path) -> io::Result<()> {
    check_log_files(record.log_paths(), run_dir)
}

fn check_log_files<'a>(logs: impl IntoIterator<Item = &'a Path>, run_dir: &Path) -> io::Result<()> {
    let root = match RootDir::open(run_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    for log in logs.into_iter().filter(|log| !log.as_os_str().is_empty()) {
        match root.open_file(log) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io::Error::new(error.kind(), format!("in {}: {error}", run_dir.display())));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns whether a walk for coverage data of the project enters a directory: neither environments nor run data.
pub(crate) fn may_contain_coverage(entry: &DirEntry) -> bool {
    !is_skipped(entry, &[DEFAULT_ENVDIR, RUN_DATA_DIR])
}

/// Returns whether a walk for runs enters a directory: in that of the environments only the run data.
fn may_contain_runs(entry: &DirEntry) -> bool {
    let is_in_envdir = entry.path().parent().is_some_and(|parent| parent.ends_with(DEFAULT_ENVDIR));
    !is_skipped(entry, &[]) && (entry.depth() == 0 || !is_in_envdir || entry.file_name() == RUN_DATA_DIR)
}

fn is_skipped(entry: &DirEntry, others: &[&str]) -> bool {
    let is_subdirectory = entry.depth() > 0 && entry.file_type().is_dir();
    is_subdirectory && SKIPPED_DIRS.iter().chain(others).any(|skipped| entry.file_name() == *skipped)
}
