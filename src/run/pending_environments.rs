//! Environments in use: sessions that run hold the lock of theirs, others wait until another noxide releases it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::graph::PlanIndex;
use crate::provision::EnvironmentLock;

/// The environment locks of a run; sessions hold their slots while they wait for one.
#[derive(Debug)]
pub(super) struct PendingEnvironments {
    /// Stored in the locks, so that other runs can name this one.
    run_id: String,
    held: BTreeMap<PlanIndex, EnvironmentLock>,
    waiting: BTreeMap<PlanIndex, WaitingSession>,
}

#[derive(Debug)]
struct WaitingSession {
    environment: PathBuf,
    slots: Vec<usize>,
}

/// What a session has to do before it starts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EnvironmentState {
    /// Nothing: the environment is its own until it is released.
    Ready(Vec<usize>),
    /// It waits; a message for the user says for what.
    Waiting(String),
}

impl PendingEnvironments {
    /// Creates the state for the run in this directory.
    pub(super) fn new(run_dir: &Path) -> Self {
        let run_id = run_dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { run_id, held: BTreeMap::new(), waiting: BTreeMap::new() }
    }

    /// Acquires the lock of a session's environment, or lets the session wait with its slots.
    pub(super) fn start_or_wait(
        &mut self,
        session: PlanIndex,
        name: &str,
        environment: Option<PathBuf>,
        slots: Vec<usize>,
    ) -> EnvironmentState {
        let Some(environment) = environment else { return EnvironmentState::Ready(slots) };
        if self.acquire(session, &environment) {
            return EnvironmentState::Ready(slots);
        }
        let run_id = EnvironmentLock::last_run_id(&environment);
        let path = environment.display();
        let message = format!("{name} waits for its environment {path}, which another noxide is using (run {run_id})");
        self.waiting.insert(session, WaitingSession { environment, slots });
        EnvironmentState::Waiting(message)
    }

    /// Removes and returns the sessions whose environments have become free, with their slots.
    pub(super) fn take_ready(&mut self) -> Vec<(PlanIndex, Vec<usize>)> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut ready = Vec::new();
        for (session, waiting) in waiting {
            if self.acquire(session, &waiting.environment) {
                ready.push((session, waiting.slots));
            } else {
                self.waiting.insert(session, waiting);
            }
        }
        ready
    }

    fn acquire(&mut self, session: PlanIndex, environment: &Path) -> bool {
        match EnvironmentLock::try_acquire_for_run(environment, &self.run_id) {
            Ok(Some(lock)) => {
                self.held.insert(session, lock);
                true
            }
            Ok(None) => false,
            // On a file system without locks (some network mounts), sessions run as under nox.
            Err(_) => true,
        }
    }

    /// Releases the environment of a session after its last attempt.
    pub(super) fn release(&mut self, session: PlanIndex) {
        self.held.remove(&session);
    }

    /// Removes and returns the sessions that wait: no session starts any more.
    pub(super) fn cancel_all(&mut self) -> Vec<PlanIndex> {
        std::mem::take(&mut self.waiting).into_keys().collect()
    }
}
