//! What sessions install is had before they start and kept when they are over: the errands for that, as the event loop
//! gives them and whoever does them takes them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cache::{CachePhase, ProgressReporter, WorkAmount};
use crate::project::SessionId;
use crate::record::{CacheStats, InstallStats, RestoreProgress};

/// Whoever has what sessions install, and keeps what they fetched.
pub trait Provisioner: Send {
    /// Has what a session installs there, as far as can be.
    fn provision_session(&mut self, id: SessionId, progress: &dyn ProgressReporter) -> ProvisionResult;

    /// Keeps what sessions that are over have fetched.
    fn save_finished(&mut self, over: &[FinishedSession], progress: &dyn ProgressReporter);

    /// Keeps a little of what sessions that still run have fetched, while there is nothing else to do; says how long to
    /// wait before the next time, or that there need be none.
    fn save_while_idle(&mut self, _progress: &dyn ProgressReporter) -> Option<Duration> {
        None
    }
}

/// What was done for a session before it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProvisionResult {
    /// What the cache did; none where it has nothing to do with the session.
    pub cache: Option<CacheStats>,
    /// Variables the session gets.
    pub env: Vec<(String, String)>,
    /// What people should know, in sentences.
    pub notices: Vec<String>,
}

/// A session that is over, for whoever keeps what it fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinishedSession {
    /// Which session.
    pub id: SessionId,
    /// What its installs took, where it made any.
    pub install: Option<InstallStats>,
}

/// What is still to be done, most urgent first.
#[derive(Debug, Default)]
struct QueueState {
    /// Sessions that would start now.
    urgent: VecDeque<SessionId>,
    /// Sessions whose turn comes.
    upcoming: VecDeque<SessionId>,
    finished: Vec<FinishedSession>,
    closed: bool,
}

/// One errand.
pub(super) enum ProvisionTask {
    /// Have what a session installs.
    Provision(SessionId),
    /// Keep what these have fetched.
    Save(Vec<FinishedSession>),
    /// Nothing came for as long as was asked.
    IdleSave,
}

/// The errands of a run: whoever owns the run gives them, a thread takes them.
#[derive(Debug, Default)]
pub struct ProvisionQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
    pub(super) progress: ProgressCounter,
}

impl ProvisionQueue {
    /// A session will want what it installs.
    pub(super) fn enqueue_session(&self, id: SessionId) {
        self.lock_state().upcoming.push_back(id);
        self.changed.notify_one();
    }

    /// A session waits for nothing else.
    pub(super) fn prioritize_session(&self, id: SessionId) {
        let mut queue = self.lock_state();
        // It may be under way already.
        if let Some(at) = queue.upcoming.iter().position(|ahead| *ahead == id) {
            queue.upcoming.remove(at);
            queue.urgent.push_back(id);
        }
    }

    pub(super) fn enqueue_save(&self, over: FinishedSession) {
        self.lock_state().finished.push(over);
        self.changed.notify_one();
    }

    /// Nothing starts any more.
    pub(super) fn clear_pending(&self) {
        let mut queue = self.lock_state();
        queue.urgent.clear();
        queue.upcoming.clear();
    }

    /// How far a restore for a session has come, where one is under way.
    pub(super) fn restore_progress(&self) -> Option<(SessionId, RestoreProgress)> {
        self.progress.restore_progress()
    }

    fn lock_state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No errand comes any more.
    pub(super) fn close(&self) {
        self.lock_state().closed = true;
        self.changed.notify_one();
    }

    /// The next errand, once there is one or `idle` is over; none when there will be none.
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

/// Counts how far the errand under way has come.
#[derive(Debug, Default)]
pub(super) struct ProgressCounter(Mutex<Option<CountedRestore>>);

#[derive(Debug)]
struct CountedRestore {
    session: SessionId,
    started_at: Option<Instant>,
    total: WorkAmount,
    done: WorkAmount,
}

impl ProgressCounter {
    /// What is counted now is for this session.
    pub(super) fn set_session(&self, of: Option<SessionId>) {
        let none = WorkAmount::default();
        *self.lock_state() = of.map(|of| CountedRestore { session: of, started_at: None, total: none, done: none });
    }

    fn restore_progress(&self) -> Option<(SessionId, RestoreProgress)> {
        let state = self.lock_state();
        let state = state.as_ref()?;
        let ms = u64::try_from(state.started_at?.elapsed().as_millis()).unwrap_or(u64::MAX);
        let CountedRestore { session: of, total, done, .. } = state;
        let portion = RestoreProgress {
            packages: done.entries,
            files: done.files,
            bytes: done.bytes,
            all_packages: total.entries,
            all_files: total.files,
            all_bytes: total.bytes,
            ms,
        };
        Some((*of, portion))
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
