//! Which sessions of a run are traced, and what they touched.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::launcher::{LaunchRequest, RaceConflict};
use super::options::NamedChoice;
use crate::project::{SeccompSetup, SessionId};
use crate::trace::{
    PreloadLibrary, ProjectTree, SessionAccesses, SessionTracer, TraceContext, TraceMode, TraceScope, find_conflicts,
};

/// The dynamic linker's list of libraries that programs load beside their own.
const PRELOAD_VARIABLE: &str = "LD_PRELOAD";

/// Options of AddressSanitizer, parted by colons.
const ASAN_VARIABLE: &str = "ASAN_OPTIONS";

/// The traces of one run.
#[derive(Debug, Default)]
pub struct RunTracing {
    sessions: BTreeSet<SessionId>,
    context: TraceContext,
    preload: Option<PreloadLibrary>,
    active: BTreeMap<SessionId, SessionTracer>,
    finished: BTreeMap<SessionId, SessionAccesses>,
}

/// What a session that is traced is given.
#[derive(Debug)]
pub(super) struct TracedLaunch {
    /// Its end of the socket by which it hands over its listener.
    pub(super) socket: OwnedFd,
    /// How it puts itself under the filter.
    pub(super) setup: SeccompSetup,
    /// Environment variables that have its programs take notes.
    pub(super) env: Vec<(String, String)>,
}

impl RunTracing {
    /// Traces these sessions; `folder` is kept between runs, below `.noxide`.
    pub fn new(sessions: BTreeSet<SessionId>, surroundings: TraceContext, folder: &Path) -> Self {
        let noter = PreloadLibrary::install(folder);
        Self { sessions, context: surroundings, preload: noter, active: BTreeMap::new(), finished: BTreeMap::new() }
    }

    /// What the session is given; nothing for one that is not traced.
    pub(super) fn begin_session(&mut self, order: &LaunchRequest) -> io::Result<Option<TracedLaunch>> {
        if !self.sessions.contains(&order.id) {
            return Ok(None);
        }
        let mut surroundings = self.context.clone();
        let temporary = order.env.iter().find(|(name, _)| name == "TMPDIR").map(|(_, folder)| PathBuf::from(folder));
        surroundings.excluded.extend(temporary);
        surroundings.excluded.extend(self.preload.as_ref().map(|noter| PathBuf::from(noter.path())));
        let set = |name: &str| {
            let own = order.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            own.or_else(|| std::env::var(name).ok())
        };
        // A session that preloads something of its own gets nothing beside it.
        let noter = self.preload.as_ref().filter(|_| set(PRELOAD_VARIABLE).is_none()).map(PreloadLibrary::path);
        let (tracer, socket) = SessionTracer::start(TraceScope::new(surroundings), noter.is_some())?;
        let mut env = Vec::new();
        if let (Some(noter), Some(notes)) = (noter, tracer.preload_ring_address()) {
            // Else programs built with AddressSanitizer refuse to run beside a library that is loaded before theirs.
            let asan = [Some("verify_asan_link_order=0".to_owned()), set(ASAN_VARIABLE)].into_iter().flatten();
            env.push((PRELOAD_VARIABLE.to_owned(), noter.to_owned()));
            env.push(("NOXIDE_TRACE_RING".to_owned(), notes.to_owned()));
            env.push((ASAN_VARIABLE.to_owned(), asan.collect::<Vec<_>>().join(":")));
        }
        let order = (order.id, tracer.seccomp_setup());
        self.active.insert(order.0, tracer);
        Ok(Some(TracedLaunch { socket, setup: order.1, env }))
    }

    /// A session is over: its sets are what they are.
    pub(super) fn end_session(&mut self, id: SessionId) {
        if let Some(tracer) = self.active.remove(&id) {
            self.finished.insert(id, tracer.accesses());
        }
    }

    /// What a session touched, up to now.
    fn current_accesses(&self, id: SessionId) -> Option<SessionAccesses> {
        self.active.get(&id).map(SessionTracer::accesses).or_else(|| self.finished.get(&id).cloned())
    }

    /// On what two sessions that overlapped conflict.
    pub(super) fn find_race(&self, failed: SessionId, other: SessionId) -> Option<RaceConflict> {
        let (one, two) = (self.current_accesses(failed)?, self.current_accesses(other)?);
        let found = find_conflicts(&one, &two, ProjectTree { is_ignored: &|_| false, top_level_folders: &[] })
            .into_iter()
            .next()?;
        Some(RaceConflict { path: found.path, failed_action: found.first, other_action: found.second })
    }

    /// What was learnt of each session.
    pub(crate) fn into_accesses(self) -> BTreeMap<SessionId, SessionAccesses> {
        self.finished
    }
}

impl NamedChoice for TraceMode {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("always", Self::Always), ("never", Self::Never)];
}
