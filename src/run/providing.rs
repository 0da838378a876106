//! Sessions whose turn has come wait here until what they install is there; the slots are theirs meanwhile.

use super::dispatcher::Dispatcher;
use super::provide::{Errands, Provided, SessionOver};
use crate::project::SessionId;
use crate::record::{Fact, Outcome};

/// A restore that is over sooner is not shown.
const PATIENCE: u64 = 200;

impl Dispatcher<'_> {
    /// Has everything that the plan's sessions install there, in the order they will start.
    pub(super) fn provide_ahead(&mut self) {
        let Some(errands) = self.given.errands else { return };
        let mut forecast = self.given.plan.forecast();
        forecast.sort_by_key(|forecast| (forecast.start, forecast.session));
        for place in forecast.into_iter().map(|forecast| forecast.session).filter(|place| self.has_environment(*place))
        {
            errands.ahead(self.given.plan.sessions[place].id);
        }
    }

    /// The same for one that came up while the run goes on.
    pub(super) fn provide_too(&self, place: usize) {
        if let Some(errands) = self.given.errands.filter(|_| self.has_environment(place)) {
            errands.ahead(self.given.plan.sessions[place].id);
        }
    }

    fn has_environment(&self, place: usize) -> bool {
        self.given.manifest.sessions[self.given.plan.sessions[place].id.0].backend != "none"
    }

    /// Launches a session, once what it installs is there.
    pub(super) fn launch_provided(&mut self, place: usize, slots: Vec<usize>) {
        match self.given.errands.filter(|_| self.has_environment(place) && !self.providing.had.contains_key(&place)) {
            Some(errands) if !self.providing.gone => {
                errands.hurry(self.given.plan.sessions[place].id);
                self.providing.waiting.insert(place, slots);
            }
            _ => self.launch(place, slots),
        }
    }

    /// Launches those that wait for nothing any more.
    pub(super) fn launch_waiting(&mut self) {
        let ready = |place: &usize| self.providing.gone || self.providing.had.contains_key(place);
        let ready: Vec<usize> = self.providing.waiting.keys().copied().filter(ready).collect();
        for place in ready {
            if let Some(slots) = self.providing.waiting.remove(&place) {
                self.launch(place, slots);
            }
        }
    }

    /// What a session installs is there, as far as can be.
    pub(super) fn provided(&mut self, id: SessionId, provided: Provided) {
        let Some(place) = self.place(id) else { return };
        for text in provided.notices {
            self.emit(Fact::Notice { text });
        }
        if let Some(cache) = &provided.cache {
            let session = self.given.plan.sessions[place].facts.name.clone();
            self.emit(Fact::SessionRestored { session, cache: cache.clone() });
        }
        self.given.plan.sessions[place].cache = provided.cache;
        self.providing.had.insert(place, provided.env);
    }

    /// Sessions go on without whoever provided for them.
    pub(super) fn provider_gone(&mut self) {
        self.providing.gone = true;
    }

    /// Says how far a restore that takes its time has come.
    pub(super) fn report_restore(&mut self) {
        let Some((id, done)) = self.given.errands.and_then(Errands::portion) else { return };
        if let Some(place) = self.place(id).filter(|_| done.ms >= PATIENCE) {
            let session = self.given.plan.sessions[place].facts.name.clone();
            self.emit(Fact::SessionRestoring { session, done });
        }
    }

    /// A session is over for good: what it fetched may be kept.
    pub(super) fn let_keep(&self, place: usize) {
        let (id, install) = (self.given.plan.sessions[place].id, self.installs.get(&place).copied());
        if let Some(errands) = self.given.errands.filter(|_| self.has_environment(place)) {
            errands.over(SessionOver { id, install });
        }
    }

    /// Nothing starts any more: those that wait never will.
    pub(super) fn stop_providing(&mut self, reason: &str) {
        if let Some(errands) = self.given.errands {
            errands.forget();
        }
        for place in std::mem::take(&mut self.providing.waiting).into_keys() {
            self.never_started(place, reason.to_owned());
            for abort in self.scheduler.finish(place, Outcome::Aborted) {
                self.never_started(abort.session, reason.to_owned());
            }
        }
    }
}
