//! Which sessions of a run are traced, and what they touched.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::launch::{Order, Race};
use super::options::Words;
use crate::project::SessionId;
use crate::trace::{Accesses, Scope, Surroundings, TraceMode, Tracer, conflicts};

/// The traces of one run.
#[derive(Debug, Default)]
pub struct Tracing {
    sessions: BTreeSet<SessionId>,
    surroundings: Surroundings,
    live: BTreeMap<SessionId, Tracer>,
    done: BTreeMap<SessionId, Accesses>,
}

impl Tracing {
    /// Traces these sessions.
    pub fn new(sessions: BTreeSet<SessionId>, surroundings: Surroundings) -> Self {
        Self { sessions, surroundings, live: BTreeMap::new(), done: BTreeMap::new() }
    }

    /// The session's end of the socket by which it hands over its listener; none for one that is not traced.
    pub(super) fn begin(&mut self, order: &Order) -> io::Result<Option<OwnedFd>> {
        if !self.sessions.contains(&order.id) {
            return Ok(None);
        }
        let mut surroundings = self.surroundings.clone();
        let temporary = order.env.iter().find(|(name, _)| name == "TMPDIR").map(|(_, folder)| PathBuf::from(folder));
        surroundings.left_out.extend(temporary);
        let (tracer, theirs) = Tracer::start(Scope::new(surroundings))?;
        self.live.insert(order.id, tracer);
        Ok(Some(theirs))
    }

    /// A session is over: its sets are what they are.
    pub(super) fn end(&mut self, id: SessionId) {
        if let Some(tracer) = self.live.remove(&id) {
            self.done.insert(id, tracer.accesses());
        }
    }

    /// What a session touched, up to now.
    fn so_far(&self, id: SessionId) -> Option<Accesses> {
        self.live.get(&id).map(Tracer::accesses).or_else(|| self.done.get(&id).cloned())
    }

    /// On what two sessions that overlapped conflict.
    pub(super) fn race(&self, failed: SessionId, other: SessionId) -> Option<Race> {
        let (one, two) = (self.so_far(failed)?, self.so_far(other)?);
        let found = conflicts(&one, &two, &|_| false).into_iter().next()?;
        Some(Race { path: found.path, failed: found.first, other: found.second })
    }

    /// What was learnt of each session.
    pub fn into_accesses(self) -> BTreeMap<SessionId, Accesses> {
        self.done
    }
}

impl Words for TraceMode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("always", Self::Always), ("never", Self::Never)];
}
