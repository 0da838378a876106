//! Tracing of a run: its traced sessions and their file and socket accesses.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::launcher::{LaunchRequest, RaceConflict};
use super::options::NamedChoice;
use crate::project::{CommandUse, NoxfileManifest, SeccompSetup, SessionId};
use crate::trace::{
    PreloadLibrary, ProjectTree, SeparateFiles, SessionAccesses, SessionTracer, TraceCache, TraceContext, TraceMode,
    TraceScope, find_conflicts, probe_tracing, trace_context,
};

/// Libraries that the dynamic linker loads into every program.
const PRELOAD_VARIABLE: &str = "LD_PRELOAD";

/// Options of AddressSanitizer, separated by colons.
const ASAN_VARIABLE: &str = "ASAN_OPTIONS";

/// Tracers of a run's sessions, running and finished.
#[derive(Debug, Default)]
pub struct RunTracing {
    sessions: BTreeSet<SessionId>,
    context: TraceContext,
    preload: Option<PreloadLibrary>,
    active: BTreeMap<SessionId, SessionTracer>,
    finished: BTreeMap<SessionId, SessionAccesses>,
}

/// Inputs for starting a traced session.
#[derive(Debug)]
pub(super) struct TracedLaunch {
    /// The session's end of the socket over which it sends its seccomp listener.
    pub(super) socket: OwnedFd,
    /// The filter that it installs.
    pub(super) setup: SeccompSetup,
    /// Environment variables that load the preload library.
    pub(super) env: Vec<(String, String)>,
}

impl RunTracing {
    /// Creates the tracing of these sessions; the preload library is stored in `folder`, below `.noxide`.
    pub fn new(sessions: BTreeSet<SessionId>, context: TraceContext, folder: &Path) -> Self {
        let preload = PreloadLibrary::install(folder);
        Self { sessions, context, preload, active: BTreeMap::new(), finished: BTreeMap::new() }
    }

    /// Creates the tracing for a mode: of all sessions, of those that changed since their last trace, or of none.
    /// Returns notices too.
    pub(crate) fn for_mode(
        mode: TraceMode,
        manifest: &NoxfileManifest,
        noxide_dir: &Path,
        posargs: &[String],
    ) -> (Self, Vec<String>) {
        let cache = TraceCache::load(noxide_dir);
        let should_trace = |id: &SessionId| match mode {
            TraceMode::Never => false,
            TraceMode::Always => true,
            TraceMode::Auto => cache.is_stale(&manifest.sessions[id.0], posargs),
        };
        let sessions: BTreeSet<SessionId> = manifest.queue.iter().copied().filter(should_trace).collect();
        if sessions.is_empty() {
            return (Self::default(), Vec::new());
        }
        if let Err(error) = probe_tracing() {
            return (Self::default(), vec![format!("sessions are not traced: {error}")]);
        }
        let mut notices = Vec::new();
        if mode == TraceMode::Auto {
            let names: Vec<&str> = sessions.iter().map(|id| manifest.sessions[id.0].name.as_str()).collect();
            notices.push(format!("tracing sessions that changed since their last trace: {}", names.join(", ")));
        }
        (Self::new(sessions, trace_context(manifest), &noxide_dir.join("trace")), notices)
    }

    /// Starts to trace a session; returns `None` for one that is not traced.
    pub(super) fn begin_session(&mut self, request: &LaunchRequest) -> io::Result<Option<TracedLaunch>> {
        if !self.sessions.contains(&request.id) {
            return Ok(None);
        }
        let mut context = self.context.clone();
        let temp_dir = request.env.iter().find(|(name, _)| name == "TMPDIR").map(|(_, folder)| PathBuf::from(folder));
        context.excluded.extend(temp_dir);
        context.excluded.extend(self.preload.as_ref().map(|library| PathBuf::from(library.path())));
        let variable = |name: &str| {
            let own = request.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            own.or_else(|| std::env::var(name).ok())
        };
        // Do not replace a library that the session preloads itself.
        let preload = self.preload.as_ref().filter(|_| variable(PRELOAD_VARIABLE).is_none()).map(PreloadLibrary::path);
        let (tracer, socket) = SessionTracer::start(TraceScope::new(context), preload.is_some())?;
        let mut env = Vec::new();
        if let (Some(preload), Some(ring)) = (preload, tracer.preload_ring_address()) {
            // Without this, programs built with AddressSanitizer refuse to run after another preloaded library.
            let asan = [Some("verify_asan_link_order=0".to_owned()), variable(ASAN_VARIABLE)].into_iter().flatten();
            env.push((PRELOAD_VARIABLE.to_owned(), preload.to_owned()));
            env.push(("NOXIDE_TRACE_RING".to_owned(), ring.to_owned()));
            env.push((ASAN_VARIABLE.to_owned(), asan.collect::<Vec<_>>().join(":")));
        }
        let setup = tracer.seccomp_setup();
        self.active.insert(request.id, tracer);
        Ok(Some(TracedLaunch { socket, setup, env }))
    }

    /// Stores the accesses of a session whose attempt has ended; `uses` are the resources that its commands shared.
    pub(super) fn end_session(&mut self, id: SessionId, uses: &[CommandUse]) {
        if let Some(tracer) = self.active.remove(&id) {
            let accesses = SessionAccesses { kept_apart: SeparateFiles::from_uses(uses), ..tracer.accesses() };
            self.finished.insert(id, accesses);
        }
    }

    /// Returns the accesses of a session so far.
    fn current_accesses(&self, id: SessionId) -> Option<SessionAccesses> {
        self.active.get(&id).map(SessionTracer::accesses).or_else(|| self.finished.get(&id).cloned())
    }

    /// Returns a conflict between two sessions that ran at the same time.
    pub(super) fn find_race(&self, failed: SessionId, other: SessionId) -> Option<RaceConflict> {
        let (one, two) = (self.current_accesses(failed)?, self.current_accesses(other)?);
        let found = find_conflicts(&one, &two, ProjectTree { is_ignored: &|_| false, top_level_folders: &[] })
            .into_iter()
            .next()?;
        Some(RaceConflict { path: found.path, failed_action: found.first, other_action: found.second })
    }

    /// Returns the accesses of each finished session.
    pub(crate) fn into_accesses(self) -> BTreeMap<SessionId, SessionAccesses> {
        self.finished
    }
}

impl NamedChoice for TraceMode {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("always", Self::Always), ("never", Self::Never)];
}
