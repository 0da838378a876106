//! Sessions whose turn has come wait here until what they install is there; the slots are theirs meanwhile.

use super::dispatcher::Dispatcher;
use crate::project::SessionId;
use crate::provision::{FinishedSession, ProvisionQueue, ProvisionResult};
use crate::record::{EventKind, Outcome};

/// A restore that is over sooner is not shown.
const MIN_REPORTED_RESTORE_MS: u64 = 200;

impl Dispatcher<'_> {
    /// Has everything that the plan's sessions install there, in the order they will start.
    pub(super) fn enqueue_planned_sessions(&mut self) {
        let Some(errands) = self.context.provision_queue else { return };
        let mut forecast = self.context.plan.forecast();
        forecast.sort_by_key(|forecast| (forecast.start, forecast.session));
        for place in forecast.into_iter().map(|forecast| forecast.session).filter(|place| self.has_environment(*place))
        {
            errands.enqueue_session(self.context.plan.sessions[place].id);
        }
    }

    /// The same for one that came up while the run goes on.
    pub(super) fn enqueue_provisioning(&self, place: usize) {
        if let Some(errands) = self.context.provision_queue.filter(|_| self.has_environment(place)) {
            errands.enqueue_session(self.context.plan.sessions[place].id);
        }
    }

    fn has_environment(&self, place: usize) -> bool {
        self.context.manifest.sessions[self.context.plan.sessions[place].id.0].backend != "none"
    }

    /// Launches a session, once what it installs is there.
    pub(super) fn launch_when_provisioned(&mut self, place: usize, slots: Vec<usize>) {
        match self
            .context
            .provision_queue
            .filter(|_| self.has_environment(place) && !self.provisions.provisioned_env.contains_key(&place))
        {
            Some(errands) if !self.provisions.worker_exited => {
                errands.prioritize_session(self.context.plan.sessions[place].id);
                self.provisions.waiting_slots.insert(place, slots);
            }
            _ => self.launch_attempt(place, slots),
        }
    }

    /// Launches those that wait for nothing any more.
    pub(super) fn launch_provisioned(&mut self) {
        let ready =
            |place: &usize| self.provisions.worker_exited || self.provisions.provisioned_env.contains_key(place);
        let ready: Vec<usize> = self.provisions.waiting_slots.keys().copied().filter(ready).collect();
        for place in ready {
            if let Some(slots) = self.provisions.waiting_slots.remove(&place) {
                self.launch_attempt(place, slots);
            }
        }
    }

    /// What a session installs is there, as far as can be.
    pub(super) fn handle_provisioned(&mut self, id: SessionId, provided: ProvisionResult) {
        let Some(place) = self.session_index(id) else { return };
        for text in provided.notices {
            self.emit_event(EventKind::Notice { text });
        }
        if let Some(cache) = &provided.cache {
            let session = self.context.plan.sessions[place].facts.name.clone();
            self.emit_event(EventKind::SessionRestored { session, cache: cache.clone() });
        }
        self.context.plan.sessions[place].cache = provided.cache;
        self.provisions.provisioned_env.insert(place, provided.env);
    }

    /// Sessions go on without whoever provided for them.
    pub(super) fn handle_worker_exit(&mut self) {
        self.provisions.worker_exited = true;
    }

    /// Says how far a restore that takes its time has come.
    pub(super) fn report_restore_progress(&mut self) {
        let Some((id, done)) = self.context.provision_queue.and_then(ProvisionQueue::restore_progress) else { return };
        if let Some(place) = self.session_index(id).filter(|_| done.ms >= MIN_REPORTED_RESTORE_MS) {
            let session = self.context.plan.sessions[place].facts.name.clone();
            self.emit_event(EventKind::SessionRestoring { session, done });
        }
    }

    /// A session is over for good: what it fetched may be kept.
    pub(super) fn queue_save(&self, place: usize) {
        let (id, install) = (self.context.plan.sessions[place].id, self.installs.get(&place).copied());
        if let Some(errands) = self.context.provision_queue.filter(|_| self.has_environment(place)) {
            errands.enqueue_save(FinishedSession { id, install });
        }
    }

    /// Nothing starts any more: those that wait never will.
    pub(super) fn cancel_provisioning(&mut self, reason: &str) {
        if let Some(errands) = self.context.provision_queue {
            errands.clear_pending();
        }
        for place in std::mem::take(&mut self.provisions.waiting_slots).into_keys() {
            self.report_never_started(place, reason.to_owned());
            for abort in self.scheduler.finish_session(place, Outcome::Aborted) {
                self.report_never_started(abort.session, reason.to_owned());
            }
        }
    }
}
