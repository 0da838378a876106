//! Queue of provisioning tasks: filled by the event loop of a run, emptied by the worker thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cache::{CachePhase, ProgressReporter, WorkAmount};
use crate::project::ManifestIndex;
use crate::record::{CacheStats, InstallStats, RestoreProgress};

/// Restores the packages of sessions and saves what they downloaded.
pub trait Provisioner: Send {
    /// Restores the stored packages of a session.
    fn provision_session(&mut self, id: ManifestIndex, progress: &dyn ProgressReporter) -> ProvisionResult;

    /// Saves the downloads of finished sessions.
    fn save_finished(&mut self, finished: &[FinishedSession], progress: &dyn ProgressReporter);

    /// Saves some downloads of running sessions while the queue is empty. Returns how long to wait before the next
    /// call; `None` means until the next task.
    fn save_while_idle(&mut self, _progress: &dyn ProgressReporter) -> Option<Duration> {
        None
    }
}

/// Result of provisioning a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProvisionResult {
    /// Hits and misses of the cache; `None` if the session does not use it.
    pub cache: Option<CacheStats>,
    /// Environment variables for the session.
    pub env: Vec<(String, String)>,
    /// Messages for the user.
    pub notices: Vec<String>,
}

/// A finished session whose downloads can be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinishedSession {
    /// The session.
    pub id: ManifestIndex,
    /// Duration and number of its installs; `None` if it was killed or installed nothing.
    pub install: Option<InstallStats>,
}

/// Pending tasks, most urgent first.
#[derive(Debug, Default)]
struct QueueState {
    /// Sessions that wait only for provisioning.
    urgent: VecDeque<ManifestIndex>,
    /// Sessions that start later.
    upcoming: VecDeque<ManifestIndex>,
    finished: Vec<FinishedSession>,
    closed: bool,
}

pub(super) enum ProvisionTask {
    /// Restore the packages of a session.
    Provision(ManifestIndex),
    /// Save the downloads of these sessions.
    Save(Vec<FinishedSession>),
    /// No task came within the idle time.
    IdleSave,
}

/// Tasks of a run: the dispatcher adds them, the worker removes and runs them.
#[derive(Debug, Default)]
pub struct ProvisionQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
    pub(super) progress: ProgressCounter,
}

impl ProvisionQueue {
    /// Adds a session that will start later.
    pub(crate) fn enqueue_session(&self, id: ManifestIndex) {
        self.lock_state().upcoming.push_back(id);
        self.changed.notify_one();
    }

    /// Moves a session that waits only for provisioning to the urgent ones.
    pub(crate) fn prioritize_session(&self, id: ManifestIndex) {
        let mut queue = self.lock_state();
        // The worker may have removed it already.
        if let Some(index) = queue.upcoming.iter().position(|upcoming| *upcoming == id) {
            queue.upcoming.remove(index);
            queue.urgent.push_back(id);
        }
    }

    /// Adds a finished session whose downloads are to be saved.
    pub(crate) fn enqueue_save(&self, finished: FinishedSession) {
        self.lock_state().finished.push(finished);
        self.changed.notify_one();
    }

    /// Removes all sessions whose provisioning has not started.
    pub(crate) fn clear_pending(&self) {
        let mut queue = self.lock_state();
        queue.urgent.clear();
        queue.upcoming.clear();
    }

    /// Returns the session that is being restored, and the progress.
    pub(crate) fn restore_progress(&self) -> Option<(ManifestIndex, RestoreProgress)> {
        self.progress.restore_progress()
    }

    fn lock_state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the worker once the queue is empty.
    pub(super) fn close(&self) {
        self.lock_state().closed = true;
        self.changed.notify_one();
    }

    /// Waits for the next task, at most for `idle`; returns `None` once the queue is closed and empty.
    pub(super) fn next_task(&self, idle: Option<Duration>) -> Option<ProvisionTask> {
        let mut queue = self.lock_state();
        loop {
            if let Some(id) = queue.urgent.pop_front().or_else(|| queue.upcoming.pop_front()) {
                return Some(ProvisionTask::Provision(id));
            }
            if !queue.finished.is_empty() {
                return Some(ProvisionTask::Save(std::mem::take(&mut queue.finished)));
            }
            if queue.closed {
                return None;
            }
            let Some(idle) = idle else {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (woken, waited) = self.changed.wait_timeout(queue, idle).unwrap_or_else(PoisonError::into_inner);
            if waited.timed_out() {
                return Some(ProvisionTask::IdleSave);
            }
            queue = woken;
        }
    }
}

/// Progress of the task in progress, shared between the worker and the event loop.
#[derive(Debug, Default)]
pub(super) struct ProgressCounter(Mutex<Option<CountedRestore>>);

#[derive(Debug)]
struct CountedRestore {
    session: ManifestIndex,
    started_at: Option<Instant>,
    total: WorkAmount,
    done: WorkAmount,
}

impl ProgressCounter {
    /// Sets the session to which the following progress belongs.
    pub(super) fn set_session(&self, session: Option<ManifestIndex>) {
        let none = WorkAmount::default();
        *self.lock_state() =
            session.map(|session| CountedRestore { session, started_at: None, total: none, done: none });
    }

    fn restore_progress(&self) -> Option<(ManifestIndex, RestoreProgress)> {
        let state = self.lock_state();
        let CountedRestore { session, started_at, total, done } = state.as_ref()?;
        let progress = RestoreProgress {
            packages: done.entries,
            files: done.files,
            bytes: done.bytes,
            total_packages: total.entries,
            total_files: total.files,
            total_bytes: total.bytes,
            elapsed_ms: u64::try_from((*started_at)?.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        Some((*session, progress))
    }

    fn lock_state(&self) -> MutexGuard<'_, Option<CountedRestore>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProgressReporter for ProgressCounter {
    fn start_phase(&self, _: CachePhase, total: WorkAmount) {
        if let Some(state) = self.lock_state().as_mut() {
            (state.started_at, state.total, state.done) = (Some(Instant::now()), total, WorkAmount::default());
        }
    }

    fn advance(&self, more: WorkAmount) {
        if let Some(state) = self.lock_state().as_mut() {
            state.done += more;
        }
    }

    fn finish_phase(&self) {
        if let Some(state) = self.lock_state().as_mut() {
            state.started_at = None;
        }
    }
}
