//! Sessions that could start but are not provisioned yet; they hold their slots while they wait.

use std::collections::BTreeMap;

use super::graph::PlanIndex;
use crate::project::ManifestIndex;
use crate::provision::{FinishedSession, ProvisionQueue};
use crate::record::RestoreProgress;

/// Shorter restores are not reported.
const MIN_REPORTED_RESTORE_MS: u64 = 200;

/// Requests to the provision worker, and its results.
#[derive(Debug)]
pub(super) struct PendingProvision<'a> {
    /// `None` if sessions install everything themselves.
    queue: Option<&'a ProvisionQueue>,
    /// Slots of sessions that wait.
    waiting: BTreeMap<PlanIndex, Vec<usize>>,
    /// Environment variables of sessions that are provisioned.
    provisioned: BTreeMap<PlanIndex, Vec<(String, String)>>,
    worker_exited: bool,
}

impl<'a> PendingProvision<'a> {
    /// Creates the state for a run that begins.
    pub(super) fn new(queue: Option<&'a ProvisionQueue>) -> Self {
        Self { queue, waiting: BTreeMap::new(), provisioned: BTreeMap::new(), worker_exited: false }
    }

    /// Queues the provisioning of a session that will start later.
    pub(super) fn enqueue(&self, id: ManifestIndex) {
        if let Some(queue) = self.queue {
            queue.enqueue_session(id);
        }
    }

    /// Returns the slots if the session may start now. Otherwise the session waits with its slots, and is provisioned
    /// before sessions that could not start yet.
    pub(super) fn start_or_wait(
        &mut self,
        session: PlanIndex,
        id: ManifestIndex,
        slots: Vec<usize>,
    ) -> Option<Vec<usize>> {
        match self.queue {
            Some(queue) if !self.worker_exited && !self.provisioned.contains_key(&session) => {
                queue.prioritize_session(id);
                self.waiting.insert(session, slots);
                None
            }
            _ => Some(slots),
        }
    }

    /// Removes and returns the sessions that may start now, with their slots.
    pub(super) fn take_ready(&mut self) -> Vec<(PlanIndex, Vec<usize>)> {
        let Self { waiting, provisioned, worker_exited, .. } = self;
        waiting.extract_if(.., |session, _| *worker_exited || provisioned.contains_key(session)).collect()
    }

    /// Records that a session is provisioned.
    pub(super) fn set_provisioned(&mut self, session: PlanIndex, env: Vec<(String, String)>) {
        self.provisioned.insert(session, env);
    }

    /// Records that the worker has exited; sessions then start without it.
    pub(super) fn set_worker_exited(&mut self) {
        self.worker_exited = true;
    }

    /// Returns the environment variables that a session gets from its provisioning.
    pub(super) fn session_env(&self, session: PlanIndex) -> Vec<(String, String)> {
        self.provisioned.get(&session).cloned().unwrap_or_default()
    }

    /// Returns the progress of a restore that is slow enough to report.
    pub(super) fn slow_restore(&self) -> Option<(ManifestIndex, RestoreProgress)> {
        self.queue?.restore_progress().filter(|(_, progress)| progress.elapsed_ms >= MIN_REPORTED_RESTORE_MS)
    }

    /// Queues a finished session, so that the cache saves what it has installed.
    pub(super) fn enqueue_save(&self, finished: FinishedSession) {
        if let Some(queue) = self.queue {
            queue.enqueue_save(finished);
        }
    }

    /// Removes and returns the sessions that wait: no session starts any more.
    pub(super) fn cancel_all(&mut self) -> Vec<PlanIndex> {
        if let Some(queue) = self.queue {
            queue.clear_pending();
        }
        std::mem::take(&mut self.waiting).into_keys().collect()
    }
}
