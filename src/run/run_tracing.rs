//! Tracing of a run: its traced sessions and their file and socket accesses.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::launcher::{LaunchRequest, OrderConflict, PathConflict};
use super::options::NamedChoice;
use crate::project::{CommandUse, ManifestIndex, NoxfileManifest, SeccompSetup};
use crate::record::Outcome;
use crate::run::process::SecretRedactor;
use crate::trace::{
    AccessConflict, ConflictFreeFiles, ConflictKind, ConflictWriter, GitTreeFacts, ObservedTraces, PreloadLibrary,
    SessionAccesses, SessionTracer, TraceCache, TraceContext, TraceMode, TraceScope, TraceTiming, find_conflicts,
    probe_tracing, save_trace_results, trace_context,
};

/// Libraries that the dynamic linker loads into every program.
const PRELOAD_VARIABLE: &str = "LD_PRELOAD";

/// Options of AddressSanitizer, separated by colons.
const ASAN_VARIABLE: &str = "ASAN_OPTIONS";

/// Tracers of a run's sessions, running and finished, and what earlier traces found.
#[derive(Debug, Default)]
pub struct RunTracing {
    sessions: BTreeSet<ManifestIndex>,
    context: TraceContext,
    preload: Option<PreloadLibrary>,
    active: BTreeMap<ManifestIndex, SessionTracer>,
    finished: BTreeMap<ManifestIndex, SessionAccesses>,
    /// When the last attempt of each finished session ended.
    ends: BTreeMap<ManifestIndex, Instant>,
    redactor: SecretRedactor,
    /// How a run learns from its traces; `None` if its sessions run one after another, or none is traced.
    learning: Option<TraceLearning>,
}

/// How a parallel run learns from its traces.
#[derive(Debug)]
struct TraceLearning {
    manifest: NoxfileManifest,
    run_data_dir: PathBuf,
    posargs: Vec<String>,
    /// Accesses that earlier runs recorded of sessions that are not traced now, loaded on first use.
    known: BTreeMap<ManifestIndex, Option<SessionAccesses>>,
    observed: ObservedTraces,
    /// Facts about the tree, for the accesses recorded so far.
    tree_facts: Option<GitTreeFacts>,
}

/// Inputs of tracing that depend on the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TraceInputs<'a> {
    /// When sessions are traced.
    pub(crate) mode: TraceMode,
    /// Arguments of the sessions.
    pub(crate) posargs: &'a [String],
    /// Whether notices about tracing that change nothing for the user are wanted.
    pub(crate) verbose: bool,
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
    /// Creates the tracing of these sessions; the preload library is stored in `directory`, in the run data directory.
    pub fn new(sessions: BTreeSet<ManifestIndex>, context: TraceContext, directory: &Path) -> Self {
        let preload = PreloadLibrary::install(directory);
        Self { sessions, context, preload, ..Self::default() }
    }

    /// Creates the tracing of a parallel run: of all sessions, of those that are not known yet, or of none. Returns
    /// notices too.
    pub(crate) fn for_run(
        inputs: TraceInputs<'_>,
        manifest: &NoxfileManifest,
        run_data_dir: &Path,
    ) -> (Self, Vec<String>) {
        let TraceInputs { mode, posargs, verbose } = inputs;
        // A run of one session has no races. The session is traced in the first run that has others.
        if mode == TraceMode::Never || (mode == TraceMode::Auto && manifest.queue.len() < 2) {
            return (Self::default(), Vec::new());
        }
        let cache = TraceCache::load(run_data_dir);
        let session = |id: &ManifestIndex| &manifest.sessions[id.0];
        let is_wanted = |id: &ManifestIndex| {
            !cache.is_untraceable(session(id), posargs)
                && (mode == TraceMode::Always || !cache.is_known(session(id), posargs))
        };
        let sessions: BTreeSet<ManifestIndex> = manifest.queue.iter().copied().filter(is_wanted).collect();
        if sessions.is_empty() {
            return (Self::default(), Vec::new());
        }
        if let Err(error) = probe_tracing() {
            let notice = (verbose || mode == TraceMode::Always).then(|| format!("sessions are not traced: {error}"));
            return (Self::default(), notice.into_iter().collect());
        }
        let mut notices = Vec::new();
        if mode == TraceMode::Auto {
            let (changed, new): (Vec<ManifestIndex>, Vec<ManifestIndex>) =
                sessions.iter().partition(|id| cache.is_stale(session(id), posargs));
            let names =
                |ids: &[ManifestIndex]| ids.iter().map(|id| session(id).name.as_str()).collect::<Vec<_>>().join(", ");
            if !changed.is_empty() {
                notices.push(format!("tracing sessions that changed since their last trace: {}", names(&changed)));
            }
            if verbose && !new.is_empty() {
                notices.push(format!("tracing sessions for the first time: {}", names(&new)));
            }
        }
        let learning = TraceLearning {
            manifest: manifest.clone(),
            run_data_dir: run_data_dir.to_path_buf(),
            posargs: posargs.to_vec(),
            known: BTreeMap::new(),
            observed: ObservedTraces::default(),
            tree_facts: None,
        };
        let tracing = Self::new(sessions, trace_context(manifest), &run_data_dir.join("trace"));
        (Self { learning: Some(learning), ..tracing }, notices)
    }

    /// Masks these secrets in the accesses: paths may contain arguments of commands.
    pub(super) fn with_redactor(self, redactor: SecretRedactor) -> Self {
        Self { redactor, ..self }
    }

    /// Starts to trace a session; returns `None` for one that is not traced.
    pub(super) fn begin_session(&mut self, request: &LaunchRequest) -> io::Result<Option<TracedLaunch>> {
        if !self.sessions.contains(&request.id) {
            return Ok(None);
        }
        let mut context = self.context.clone();
        let temp_dir =
            request.env.iter().find(|(name, _)| name == "TMPDIR").map(|(_, directory)| PathBuf::from(directory));
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
        if let (Some(preload), Some(ring)) = (preload, tracer.preload_ring_env_value()) {
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
    pub(super) fn end_session(&mut self, id: ManifestIndex, outcome: Outcome, uses: &[CommandUse]) {
        let Some(tracer) = self.active.remove(&id) else { return };
        let mut accesses = SessionAccesses { conflict_free: ConflictFreeFiles::from_uses(uses), ..tracer.accesses() };
        if self.ends.insert(id, Instant::now()).is_some() {
            // An earlier attempt may have accessed a path before this one did.
            accesses.first_accesses.clear();
        }
        self.finished.insert(id, redact_accesses(accesses, &self.redactor));
        if let Some(learning) = &mut self.learning {
            learning.tree_facts = None;
            if outcome == Outcome::Passed {
                learning.observed.partial.remove(&id);
            } else {
                learning.observed.partial.insert(id);
            }
        }
    }

    /// Returns the program, such as `sudo`, whose setuid bit or capabilities had no effect in a session's last attempt because it was traced, and
    /// does not trace the session again.
    pub(super) fn stop_tracing_unprivileged(&mut self, id: ManifestIndex) -> Option<String> {
        let program = self.finished.get(&id)?.unprivileged_program.clone()?;
        let was_traced = self.sessions.remove(&id);
        if let Some(learning) = &mut self.learning {
            learning.observed.partial.remove(&id);
        }
        was_traced.then_some(program)
    }

    /// Returns the accesses of a session so far.
    fn current_accesses(&self, id: ManifestIndex) -> Option<SessionAccesses> {
        let active = self.active.get(&id).map(|tracer| redact_accesses(tracer.accesses(), &self.redactor));
        active.or_else(|| self.finished.get(&id).cloned())
    }

    /// Returns the files that the last attempt of a session did not write anew.
    pub(super) fn kept_files(&self, id: ManifestIndex) -> Vec<String> {
        self.current_accesses(id).iter().flat_map(SessionAccesses::kept_files).cloned().collect()
    }

    /// Returns a conflict between two sessions that ran at the same time.
    pub(super) fn find_overlap_conflict(&self, failed: ManifestIndex, other: ManifestIndex) -> Option<PathConflict> {
        let (one, two) = (self.current_accesses(failed)?, self.current_accesses(other)?);
        let tree = GitTreeFacts::for_accesses([&one, &two].into_iter(), &self.context.root);
        let found =
            tree.with_tree(|tree| find_conflicts(&one, &two, tree, TraceTiming::Overlapping)).into_iter().next()?;
        Some(PathConflict { path: found.path, action: found.first, other_action: found.second })
    }

    /// Whether conflicts of sessions that ran in another order than nox's are looked for.
    pub(super) fn is_learning(&self) -> bool {
        self.learning.is_some()
    }

    /// Returns how two finished sessions conflict that overlapped or ran in the other order; `earlier` is the earlier one
    /// in nox's order. Remembers the conflicts for later runs.
    pub(super) fn find_order_conflict(
        &mut self,
        earlier: ManifestIndex,
        later: ManifestIndex,
    ) -> Option<OrderConflict> {
        let learning = self.learning.as_mut()?;
        for id in [earlier, later].into_iter().filter(|id| !self.finished.contains_key(id)) {
            learning.load_known(id);
        }
        let known = learning.known.values().flatten();
        let tree_facts = learning
            .tree_facts
            .get_or_insert_with(|| GitTreeFacts::for_accesses(self.finished.values().chain(known), &self.context.root));
        let accesses =
            |id: &ManifestIndex| self.finished.get(id).or_else(|| learning.known.get(id).and_then(Option::as_ref));
        let (first, second) = (accesses(&earlier)?, accesses(&later)?);
        let conflicts = tree_facts.with_tree(|tree| find_conflicts(first, second, tree, TraceTiming::Overlapping));
        let is_out_of_order = |conflict: &&AccessConflict| {
            !self.ends.get(&earlier).is_some_and(|end| second.accesses_only_after(&conflict.path, *end))
        };
        let found = OrderConflict::from_conflicts(conflicts.iter().filter(is_out_of_order));
        // Only after the later session has run again is it known whether a listing matters.
        let certain = conflicts.into_iter().filter(|conflict| conflict.kind != ConflictKind::ListCreate);
        let certain: Vec<AccessConflict> = certain.collect();
        if !certain.is_empty() {
            learning.observed.conflicts.entry((earlier, later)).or_default().extend(certain);
        }
        found
    }

    /// Stores what a parallel run learned; returns whether it learned anything, and warnings.
    pub(super) fn save_learned(&self, run_dir: &Path) -> (bool, Vec<String>) {
        let Some(learning) = self.learning.as_ref().filter(|_| !self.finished.is_empty()) else {
            return (false, Vec::new());
        };
        let TraceLearning { manifest, run_data_dir, posargs, observed, .. } = learning;
        (true, save_trace_results(manifest, &self.finished, observed, (run_dir, run_data_dir), posargs))
    }

    /// Returns the accesses of each finished session.
    pub(crate) fn into_accesses(self) -> BTreeMap<ManifestIndex, SessionAccesses> {
        self.finished
    }
}

/// Masks the secrets in paths. Equal paths stay equal, so that conflicts remain.
fn redact_accesses(accesses: SessionAccesses, redactor: &SecretRedactor) -> SessionAccesses {
    let mut document = match serde_json::to_value(&accesses) {
        Ok(document) if redactor.has_secrets() => document,
        _ => return accesses,
    };
    if !redact_strings(&mut document, redactor) {
        return accesses;
    }
    let reason = || "its accesses contain secrets that cannot be masked".to_owned();
    serde_json::from_value(document).unwrap_or_else(|_| SessionAccesses::for_untraced(reason()))
}

/// Masks the secrets in the strings and keys of a document; returns whether there were any.
fn redact_strings(document: &mut serde_json::Value, redactor: &SecretRedactor) -> bool {
    match document {
        serde_json::Value::String(text) => match redactor.redact_path(text) {
            Some(masked) => {
                *text = masked;
                true
            }
            None => false,
        },
        serde_json::Value::Array(items) => {
            items.iter_mut().fold(false, |found, item| redact_strings(item, redactor) | found)
        }
        serde_json::Value::Object(fields) => {
            let mut found = false;
            for (name, mut value) in std::mem::take(fields) {
                let masked = redactor.redact_path(&name);
                found |= redact_strings(&mut value, redactor) | masked.is_some();
                fields.insert(masked.unwrap_or(name), value);
            }
            found
        }
        _ => false,
    }
}

impl TraceLearning {
    /// Loads the accesses that the last trace of a session recorded.
    fn load_known(&mut self, id: ManifestIndex) {
        if !self.known.contains_key(&id) {
            let file = TraceCache::load_accesses(&self.run_data_dir, &self.manifest.sessions[id.0].name);
            self.known.insert(id, file.map(|file| file.accesses));
            self.tree_facts = None;
        }
    }
}

impl OrderConflict {
    /// Summarizes the conflicts of two sessions by whom they may have affected; `None` without conflicts.
    fn from_conflicts<'a>(mut conflicts: impl Iterator<Item = &'a AccessConflict> + Clone) -> Option<Self> {
        let affecting = |writer: ConflictWriter| {
            conflicts.clone().find(|conflict| conflict.writer == writer || conflict.both_change())
        };
        let affecting_later = affecting(ConflictWriter::First).map(|conflict| PathConflict {
            path: conflict.path.clone(),
            action: conflict.second.clone(),
            other_action: conflict.first.clone(),
        });
        let affecting_earlier = affecting(ConflictWriter::Second).map(|conflict| PathConflict {
            path: conflict.path.clone(),
            action: conflict.first.clone(),
            other_action: conflict.second.clone(),
        });
        let reads_output = conflicts.any(|conflict| conflict.second_reads_output);
        (affecting_later.is_some() || affecting_earlier.is_some()).then_some(Self {
            affecting_later,
            affecting_earlier,
            reads_output,
        })
    }
}

impl NamedChoice for TraceMode {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("always", Self::Always), ("never", Self::Never)];
}
