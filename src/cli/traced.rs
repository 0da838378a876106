//! What a run that traces sessions needs and leaves: which are traced, what they touched, what is learnt of it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::chosen::Done;
use super::opened::Opened;
use super::races::{Races, Settled};
use super::screen::say;
use crate::project::{Manifest, Session, SessionId};
use crate::run::Tracing;
use crate::trace::{AccessFile, Accesses, Knowledge, Surroundings, TraceMode, fingerprint, probe};

/// Arguments as text.
pub(super) fn text_of(words: &[OsString]) -> Vec<String> {
    words.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

/// The traces of a run: of all its sessions, of those that are not what they were when they were traced, or none.
pub(super) fn tracing(mode: TraceMode, opened: &mut Opened, noxide: &Path, posargs: &[String]) -> Tracing {
    let manifest = &opened.manifest;
    let known = Knowledge::read(noxide);
    let wanted = |id: &SessionId| match mode {
        TraceMode::Never => false,
        TraceMode::Always => true,
        TraceMode::Auto => known.is_stale(&manifest.sessions[id.0], posargs),
    };
    let sessions: BTreeSet<SessionId> = manifest.queue.iter().copied().filter(wanted).collect();
    if sessions.is_empty() {
        return Tracing::default();
    }
    if let Err(why) = probe() {
        opened.notices.push(format!("nothing is traced: {why}"));
        return Tracing::default();
    }
    if mode == TraceMode::Auto {
        let names: Vec<&str> = sessions.iter().map(|id| manifest.sessions[id.0].name.as_str()).collect();
        opened.notices.push(format!("traced again, for they are not what they were: {}", names.join(", ")));
    }
    let surroundings = surroundings(&opened.manifest);
    Tracing::new(sessions, surroundings, &noxide.join("trace"))
}

/// Keeps what a run's traced sessions touched and what follows from it.
pub(super) fn learn(manifest: &Manifest, done: &Done, noxide: &Path, posargs: &[String]) {
    keep(manifest, done, noxide, posargs);
    let ids: Vec<SessionId> = done.accesses.keys().copied().collect();
    let order: Vec<usize> = (0..ids.len()).collect();
    let races = Races::new(touched(manifest, done, &ids), &Settled::default(), &order, &manifest.root);
    races.learn(manifest, noxide, posargs);
}

/// Sessions with what they touched.
pub(super) fn touched(manifest: &Manifest, done: &Done, ids: &[SessionId]) -> Vec<(Session, Accesses)> {
    let missing = || Accesses::unknown("it did not run".to_owned());
    let with =
        |id: &SessionId| (manifest.sessions[id.0].clone(), done.accesses.get(id).cloned().unwrap_or_else(missing));
    ids.iter().map(with).collect()
}

/// What sessions have for themselves or share with care: environments, caches, noxide's own folder.
pub(super) fn surroundings(manifest: &Manifest) -> Surroundings {
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
    Surroundings { root, left_out }
}

/// Keeps what each session touched, with the run's record and for later comparisons.
pub(super) fn keep(manifest: &Manifest, done: &Done, noxide: &Path, posargs: &[String]) {
    for (id, accesses) in &done.accesses {
        let session = &manifest.sessions[id.0];
        let file = AccessFile::new(session.name.clone(), fingerprint(session, posargs), accesses.clone());
        let path = done.folder.join("accesses").join(format!("{}.json", session.name.slug()));
        let kept = file.write(&path).and_then(|()| Knowledge::keep(noxide, session, posargs, accesses).map(drop));
        if let Err(error) = kept {
            say(&format!("warning: what {} touched could not be kept: {error}", session.name));
        }
    }
}
