//! What sessions install is had before they start and kept when they are over: the errands for that, as the event loop
//! gives them and whoever does them takes them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cache::{Amount, Phase, Progress};
use crate::project::SessionId;
use crate::record::{CacheUse, InstallUse, Portion};

/// Whoever has what sessions install, and keeps what they fetched.
pub trait Provide: Send {
    /// Has what a session installs there, as far as can be.
    fn before(&mut self, id: SessionId, progress: &dyn Progress) -> Provided;

    /// Keeps what sessions that are over have fetched.
    fn after(&mut self, over: &[SessionOver], progress: &dyn Progress);

    /// Keeps a little of what sessions that still run have fetched, while there is nothing else to do; says how long to
    /// wait before the next time, or that there need be none.
    fn meanwhile(&mut self, _progress: &dyn Progress) -> Option<Duration> {
        None
    }
}

/// What was done for a session before it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provided {
    /// What the cache did; none where it has nothing to do with the session.
    pub cache: Option<CacheUse>,
    /// Variables the session gets.
    pub env: Vec<(String, String)>,
    /// What people should know, in sentences.
    pub notices: Vec<String>,
}

/// A session that is over, for whoever keeps what it fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOver {
    /// Which session.
    pub id: SessionId,
    /// What its installs took, where it made any.
    pub install: Option<InstallUse>,
}

/// What is still to be done, most urgent first.
#[derive(Debug, Default)]
struct Queue {
    /// Sessions that would start now.
    urgent: VecDeque<SessionId>,
    /// Sessions whose turn comes.
    ahead: VecDeque<SessionId>,
    over: Vec<SessionOver>,
    closed: bool,
}

/// One errand.
pub(super) enum Errand {
    /// Have what a session installs.
    Before(SessionId),
    /// Keep what these have fetched.
    After(Vec<SessionOver>),
    /// Nothing came for as long as was asked.
    Meanwhile,
}

/// The errands of a run: whoever owns the run gives them, a thread takes them.
#[derive(Debug, Default)]
pub struct Errands {
    queue: Mutex<Queue>,
    more: Condvar,
    pub(super) meter: Meter,
}

impl Errands {
    /// A session will want what it installs.
    pub(super) fn ahead(&self, id: SessionId) {
        self.queue().ahead.push_back(id);
        self.more.notify_one();
    }

    /// A session waits for nothing else.
    pub(super) fn hurry(&self, id: SessionId) {
        let mut queue = self.queue();
        // It may be under way already.
        if let Some(at) = queue.ahead.iter().position(|ahead| *ahead == id) {
            queue.ahead.remove(at);
            queue.urgent.push_back(id);
        }
    }

    pub(super) fn over(&self, over: SessionOver) {
        self.queue().over.push(over);
        self.more.notify_one();
    }

    /// Nothing starts any more.
    pub(super) fn forget(&self) {
        let mut queue = self.queue();
        queue.urgent.clear();
        queue.ahead.clear();
    }

    /// How far a restore for a session has come, where one is under way.
    pub(super) fn portion(&self) -> Option<(SessionId, Portion)> {
        self.meter.portion()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No errand comes any more.
    pub(super) fn close(&self) {
        self.queue().closed = true;
        self.more.notify_one();
    }

    /// The next errand, once there is one or `idle` is over; none when there will be none.
    pub(super) fn next(&self, idle: Option<Duration>) -> Option<Errand> {
        let mut queue = self.queue();
        loop {
            if let Some(id) = queue.urgent.pop_front().or_else(|| queue.ahead.pop_front()) {
                return Some(Errand::Before(id));
            }
            if !queue.over.is_empty() {
                return Some(Errand::After(std::mem::take(&mut queue.over)));
            }
            if queue.closed {
                return None;
            }
            let Some(idle) = idle else {
                queue = self.more.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (woken, waited) = self.more.wait_timeout(queue, idle).unwrap_or_else(PoisonError::into_inner);
            if waited.timed_out() {
                return Some(Errand::Meanwhile);
            }
            queue = woken;
        }
    }
}

/// Who waits for what it installs, and who has it.
#[derive(Debug, Default)]
pub(super) struct Providing {
    /// Slots of sessions that would run.
    pub(super) waiting: BTreeMap<usize, Vec<usize>>,
    /// Variables of sessions that may.
    pub(super) had: BTreeMap<usize, Vec<(String, String)>>,
    /// Nobody provides any more.
    pub(super) gone: bool,
}

impl Providing {
    /// Variables that a session gets.
    pub(super) fn variables(&self, place: usize) -> Vec<(String, String)> {
        self.had.get(&place).cloned().unwrap_or_default()
    }
}

/// Counts how far the errand under way has come.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<Option<Metered>>);

#[derive(Debug)]
struct Metered {
    of: SessionId,
    begun: Option<Instant>,
    total: Amount,
    done: Amount,
}

impl Meter {
    /// What is counted now is for this session.
    pub(super) fn is_of(&self, of: Option<SessionId>) {
        let none = Amount::default();
        *self.state() = of.map(|of| Metered { of, begun: None, total: none, done: none });
    }

    fn portion(&self) -> Option<(SessionId, Portion)> {
        let state = self.state();
        let state = state.as_ref()?;
        let ms = u64::try_from(state.begun?.elapsed().as_millis()).unwrap_or(u64::MAX);
        let Metered { of, total, done, .. } = state;
        let portion = Portion {
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

    fn state(&self) -> MutexGuard<'_, Option<Metered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Meter {
    fn begin(&self, _: Phase, total: Amount) {
        if let Some(state) = self.state().as_mut() {
            (state.begun, state.total, state.done) = (Some(Instant::now()), total, Amount::default());
        }
    }

    fn advance(&self, more: Amount) {
        if let Some(state) = self.state().as_mut() {
            state.done += more;
        }
    }

    fn end(&self) {
        if let Some(state) = self.state().as_mut() {
            state.begun = None;
        }
    }
}
