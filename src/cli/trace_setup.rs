//! What a run that traces sessions needs and leaves: which are traced, what they touched, what is learnt of it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::output_context::print_stderr;
use super::trace_report::{KnownOrdering, TraceReport};
use crate::project::{NoxfileManifest, Session, SessionId};
use crate::run::{RunResult, RunTracing};
use crate::trace::{
    AccessFile, SessionAccesses, TraceCache, TraceContext, TraceMode, probe_tracing, session_fingerprint,
};

/// Arguments as text.
pub(super) fn args_to_text(words: &[OsString]) -> Vec<String> {
    words.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

/// The traces of a run: of all its sessions, of those that changed since they were traced, or none. Returns notices.
pub(super) fn plan_tracing(
    mode: TraceMode,
    manifest: &NoxfileManifest,
    noxide: &Path,
    posargs: &[String],
) -> (RunTracing, Vec<String>) {
    let known = TraceCache::load(noxide);
    let wanted = |id: &SessionId| match mode {
        TraceMode::Never => false,
        TraceMode::Always => true,
        TraceMode::Auto => known.is_stale(&manifest.sessions[id.0], posargs),
    };
    let sessions: BTreeSet<SessionId> = manifest.queue.iter().copied().filter(wanted).collect();
    if sessions.is_empty() {
        return (RunTracing::default(), Vec::new());
    }
    if let Err(why) = probe_tracing() {
        return (RunTracing::default(), vec![format!("nothing is traced: {why}")]);
    }
    let mut notices = Vec::new();
    if mode == TraceMode::Auto {
        let names: Vec<&str> = sessions.iter().map(|id| manifest.sessions[id.0].name.as_str()).collect();
        notices.push(format!("traced again, for they are not what they were: {}", names.join(", ")));
    }
    (RunTracing::new(sessions, trace_context(manifest), &noxide.join("trace")), notices)
}

/// Keeps what a run's traced sessions touched and what follows from it.
pub(super) fn save_trace_results(manifest: &NoxfileManifest, done: &RunResult, noxide: &Path, posargs: &[String]) {
    save_accesses(manifest, done, noxide, posargs);
    let ids: Vec<SessionId> = done.accesses.keys().copied().collect();
    let order: Vec<usize> = (0..ids.len()).collect();
    let races =
        TraceReport::new(session_accesses(manifest, done, &ids), &KnownOrdering::default(), &order, &manifest.root);
    races.update_trace_cache(manifest, noxide, posargs);
}

/// Sessions with what they touched.
pub(super) fn session_accesses(
    manifest: &NoxfileManifest,
    done: &RunResult,
    ids: &[SessionId],
) -> Vec<(Session, SessionAccesses)> {
    let missing = || SessionAccesses::for_untraced("it did not run".to_owned());
    let with =
        |id: &SessionId| (manifest.sessions[id.0].clone(), done.accesses.get(id).cloned().unwrap_or_else(missing));
    ids.iter().map(with).collect()
}

/// What sessions have for themselves or share with care: environments, caches, noxide's own folder.
pub(super) fn trace_context(manifest: &NoxfileManifest) -> TraceContext {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let mut left_out: Vec<PathBuf> = manifest.sessions.iter().filter_map(|session| session.envdir.clone()).collect();
    left_out.push(manifest.root.join(".nox"));
    left_out.push(manifest.root.join(".noxide"));
    left_out.extend(named("XDG_CACHE_HOME"));
    left_out.extend(named("HOME").map(|home| home.join(".cache")));
    left_out.extend(["UV_CACHE_DIR", "PIP_CACHE_DIR", "PRE_COMMIT_HOME"].into_iter().filter_map(named));
    // Environments that nox makes without naming them lie side by side with those it names.
    let beside = |folder: &PathBuf| {
        folder.parent().filter(|parent| parent.file_name().is_some_and(|name| name == ".nox")).map(Path::to_path_buf)
    };
    let more: BTreeSet<PathBuf> = left_out.iter().filter_map(beside).collect();
    left_out.extend(more);
    let root = fs_err::canonicalize(&manifest.root).unwrap_or_else(|_| manifest.root.clone());
    TraceContext { root, excluded: left_out }
}

/// Keeps what each session touched, with the run's record and for later comparisons.
pub(super) fn save_accesses(manifest: &NoxfileManifest, done: &RunResult, noxide: &Path, posargs: &[String]) {
    for (id, accesses) in &done.accesses {
        let session = &manifest.sessions[id.0];
        let file = AccessFile::new(session.name.clone(), session_fingerprint(session, posargs), accesses.clone());
        let path = done.run_dir.join("accesses").join(format!("{}.json", session.name.slug()));
        let kept =
            file.write(&path).and_then(|()| TraceCache::save_accesses(noxide, session, posargs, accesses).map(drop));
        if let Err(error) = kept {
            print_stderr(&format!("warning: what {} touched could not be kept: {error}", session.name));
        }
    }
}
