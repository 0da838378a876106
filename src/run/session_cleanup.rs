//! Cleanup between the end of a session and the start of its dependents: collects artifacts, restores a deleted log
//! copy, removes temporary files.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::artifact_collector::ArtifactCollector;
use super::graph::PlanIndex;
use super::options::RunOptions;
use crate::fs::remove_dir_tree;
use crate::record::{AttemptResult, RunRecord};

/// Cleanup of one session.
#[derive(Debug, Default)]
pub(super) struct SessionCleanup {
    /// Artifacts to collect.
    pub(super) artifacts: Option<ArtifactCollector>,
    /// A log and the copy of it that is missing.
    pub(super) log_copy: Option<(PathBuf, PathBuf)>,
    /// The temporary directory to remove; `None` if it is recycled or stays.
    pub(super) dir_to_remove: Option<PathBuf>,
}

impl SessionCleanup {
    fn is_empty(&self) -> bool {
        self.artifacts.is_none() && self.log_copy.is_none() && self.dir_to_remove.is_none()
    }

    /// Runs the cleanup and returns a notice for each problem.
    fn run(&self, cancelled: &AtomicBool) -> Vec<String> {
        let mut notices =
            self.artifacts.as_ref().map(|artifacts| artifacts.collect_artifacts(cancelled)).unwrap_or_default();
        if let Some((log, copy)) = &self.log_copy {
            notices.extend(restore_log_copy(log, copy).err().map(|error| log_copy_notice(&error)));
        }
        if let Some(directory) = &self.dir_to_remove {
            // Files that cannot be removed stay until the run is pruned.
            let _ = remove_dir_tree(directory);
        }
        notices
    }
}

/// Cleanups in progress, each on a thread of its own.
#[derive(Debug, Default)]
pub(super) struct SessionCleanups {
    in_progress: BTreeMap<PlanIndex, AttemptResult>,
    cancelled: Arc<AtomicBool>,
}

impl SessionCleanups {
    /// Starts a session's cleanup; `report` is called on its thread with the notices.
    ///
    /// If there is nothing to do or no thread can be started, returns the notices at once and does not call `report`.
    pub(super) fn start(
        &mut self,
        session: PlanIndex,
        last_attempt: AttemptResult,
        cleanup: SessionCleanup,
        report: impl FnOnce(Vec<String>) + Send + 'static,
    ) -> Option<Vec<String>> {
        self.in_progress.insert(session, last_attempt);
        if cleanup.is_empty() {
            return Some(Vec::new());
        }
        let cancelled = Arc::clone(&self.cancelled);
        let work = move || report(cleanup.run(&cancelled));
        match std::thread::Builder::new().name("cleanup".to_owned()).spawn(work) {
            Ok(_) => None,
            Err(error) => Some(vec![format!("could not clean up after a session: {error}")]),
        }
    }

    /// Removes a session whose cleanup is done, and returns its last attempt.
    pub(super) fn finish(&mut self, session: PlanIndex) -> Option<AttemptResult> {
        self.in_progress.remove(&session)
    }

    /// Whether no cleanup is in progress.
    pub(super) fn is_idle(&self) -> bool {
        self.in_progress.is_empty()
    }

    /// Stops collecting artifacts; used when the user interrupts the run a second time.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// Returns the path of the copy that `--logs` requests of a session's log, by the stem of the log.
pub(super) fn log_copy_path(options: &RunOptions, stem: &str) -> Option<PathBuf> {
    Some(options.log_directory.as_ref()?.join(options.log_name_template.replace("{session}", stem)))
}

/// Restores copies of logs that a later session deleted, for example by `rm -r build`.
///
/// Returns a notice for each copy that cannot be restored.
pub(crate) fn restore_log_copies(options: &RunOptions, run_dir: &Path, record: &RunRecord) -> Vec<String> {
    let mut notices = Vec::new();
    for result in record.sessions.iter().filter_map(|session| session.result.as_ref()) {
        let Some(last) = result.last_attempt() else { continue };
        let first = result.attempts.first().unwrap_or(last);
        let Some(stem) = first.log.file_stem().and_then(|stem| stem.to_str()) else { continue };
        let Some(copy) = log_copy_path(options, stem).filter(|copy| !copy.exists()) else { continue };
        notices.extend(restore_log_copy(&run_dir.join(&last.log), &copy).err().map(|error| log_copy_notice(&error)));
    }
    notices
}

fn log_copy_notice(error: &io::Error) -> String {
    format!("could not copy a log to the directory of --logs: {error}")
}

fn restore_log_copy(log: &Path, copy: &Path) -> io::Result<()> {
    if let Some(directory) = copy.parent() {
        fs_err::create_dir_all(directory)?;
    }
    fs_err::copy(log, copy).map(|_| ())
}
