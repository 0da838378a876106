//! Which sessions of a run are traced, and what they touched.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::launch::{Order, Race};
use super::options::Words;
use crate::project::{SessionId, TraceOrder};
use crate::trace::{Accesses, Noter, Scope, Surroundings, TraceMode, Tracer, Tree, conflicts};

/// The dynamic linker's list of libraries that programs load beside their own.
const PRELOAD: &str = "LD_PRELOAD";

/// Options of AddressSanitizer, parted by colons.
const ASAN: &str = "ASAN_OPTIONS";

/// The traces of one run.
#[derive(Debug, Default)]
pub struct Tracing {
    sessions: BTreeSet<SessionId>,
    surroundings: Surroundings,
    noter: Option<Noter>,
    live: BTreeMap<SessionId, Tracer>,
    done: BTreeMap<SessionId, Accesses>,
}

/// What a session that is traced is given.
#[derive(Debug)]
pub(super) struct Traced {
    /// Its end of the socket by which it hands over its listener.
    pub(super) socket: OwnedFd,
    /// How it puts itself under the filter.
    pub(super) order: TraceOrder,
    /// Environment variables that have its programs take notes.
    pub(super) env: Vec<(String, String)>,
}

impl Tracing {
    /// Traces these sessions; `folder` is kept between runs, below `.noxide`.
    pub fn new(sessions: BTreeSet<SessionId>, surroundings: Surroundings, folder: &Path) -> Self {
        let noter = Noter::new(folder);
        Self { sessions, surroundings, noter, live: BTreeMap::new(), done: BTreeMap::new() }
    }

    /// What the session is given; nothing for one that is not traced.
    pub(super) fn begin(&mut self, order: &Order) -> io::Result<Option<Traced>> {
        if !self.sessions.contains(&order.id) {
            return Ok(None);
        }
        let mut surroundings = self.surroundings.clone();
        let temporary = order.env.iter().find(|(name, _)| name == "TMPDIR").map(|(_, folder)| PathBuf::from(folder));
        surroundings.left_out.extend(temporary);
        surroundings.left_out.extend(self.noter.as_ref().map(|noter| PathBuf::from(noter.path())));
        let set = |name: &str| {
            let own = order.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            own.or_else(|| std::env::var(name).ok())
        };
        // A session that preloads something of its own gets nothing beside it.
        let noter = self.noter.as_ref().filter(|_| set(PRELOAD).is_none()).map(Noter::path);
        let (tracer, socket) = Tracer::start(Scope::new(surroundings), noter.is_some())?;
        let mut env = Vec::new();
        if let (Some(noter), Some(notes)) = (noter, tracer.notes()) {
            // Else programs built with AddressSanitizer refuse to run beside a library that is loaded before theirs.
            let asan = [Some("verify_asan_link_order=0".to_owned()), set(ASAN)].into_iter().flatten();
            env.push((PRELOAD.to_owned(), noter.to_owned()));
            env.push(("NOXIDE_NOTES".to_owned(), notes.to_owned()));
            env.push((ASAN.to_owned(), asan.collect::<Vec<_>>().join(":")));
        }
        let order = (order.id, tracer.order());
        self.live.insert(order.0, tracer);
        Ok(Some(Traced { socket, order: order.1, env }))
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
        let found = conflicts(&one, &two, Tree { ignored: &|_| false, folders: &[] }).into_iter().next()?;
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
