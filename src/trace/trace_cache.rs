//! Trace cache: accesses and learned conflicts of a project's sessions, stored between runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::access_file::{AccessFile, AccessFileError};
use super::session_accesses::SessionAccesses;
use crate::fs::{MAX_DOCUMENT_BYTES, create_dirs, read_regular_file, write_atomic};
use crate::project::{NoxfileManifest, Session, SessionName};

/// Format version of `conflicts.json`.
const FORMAT_VERSION: u32 = 3;

/// How two sessions are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeparationKind {
    /// By a lock, in either order.
    Lock,
    /// By order: the second session waits for the first.
    Order,
}

/// Two sessions that must not overlap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedConflict {
    /// The earlier session in nox's order.
    pub first: String,
    /// The later session.
    pub second: String,
    /// How they are separated.
    pub separation: SeparationKind,
    /// The path they conflict on.
    pub path: String,
}

/// Learned conflicts of a project, stored in `trace/conflicts.json` in the run data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TraceCache {
    version: u32,
    /// Digests of the traced sessions' definitions, by name.
    pub(crate) session_digests: BTreeMap<String, String>,
    /// Pairs of sessions that must not overlap.
    pub(crate) conflicts: Vec<LearnedConflict>,
    /// Sessions that fail while they are traced, with the program whose setuid bit or capabilities have no effect then.
    pub(crate) untraceable: BTreeMap<String, String>,
}

impl TraceCache {
    /// Loads the cache of a run data directory; empty if the file is missing, unreadable or of another version.
    pub(crate) fn load(run_data_dir: &Path) -> Self {
        let read = read_regular_file(&cache_file_path(run_data_dir), MAX_DOCUMENT_BYTES).ok();
        let known: Option<Self> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        known.filter(|known| known.version == FORMAT_VERSION).unwrap_or_default()
    }

    /// Saves the cache.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn save(&mut self, run_data_dir: &Path) -> Result<(), AccessFileError> {
        self.version = FORMAT_VERSION;
        create_dirs(&run_data_dir.join("trace"))?;
        let mut text = serde_json::to_vec_pretty(self).map_err(std::io::Error::from)?;
        text.push(b'\n');
        Ok(write_atomic(&cache_file_path(run_data_dir), &text)?)
    }

    /// Returns whether a session was traced before and has changed since.
    pub(crate) fn is_stale(&self, session: &Session, posargs: &[String]) -> bool {
        self.session_digests.get(session.name.as_str()).is_some_and(|known| *known != session_digest(session, posargs))
    }

    /// Returns whether a session passed while it was traced, or was found to be untraceable, and has not changed since.
    pub(crate) fn is_known(&self, session: &Session, posargs: &[String]) -> bool {
        self.session_digests.get(session.name.as_str()).is_some_and(|known| *known == session_digest(session, posargs))
    }

    /// Returns whether a session that has not changed since fails while it is traced.
    pub(crate) fn is_untraceable(&self, session: &Session, posargs: &[String]) -> bool {
        self.untraceable.contains_key(session.name.as_str()) && self.is_known(session, posargs)
    }

    /// Loads the accesses of a session's last trace.
    pub(crate) fn load_accesses(run_data_dir: &Path, session: &SessionName) -> Option<AccessFile> {
        AccessFile::read(&access_file_path(run_data_dir, session)).ok().filter(|file| file.session == *session)
    }

    /// Stores the accesses of a session.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn save_accesses(
        run_data_dir: &Path,
        session: &Session,
        posargs: &[String],
        accesses: &SessionAccesses,
    ) -> Result<AccessFile, AccessFileError> {
        let file = AccessFile::new(session.name.clone(), session_digest(session, posargs), accesses.clone());
        file.write(&access_file_path(run_data_dir, &session.name))?;
        Ok(file)
    }

    /// Removes sessions that the noxfile no longer defines.
    pub(crate) fn retain_sessions(&mut self, manifest: &NoxfileManifest) {
        let exists = |name: &String| manifest.sessions.iter().any(|session| session.name.as_str() == name);
        self.session_digests.retain(|name, _| exists(name));
        self.untraceable.retain(|name, _| exists(name));
        self.conflicts.retain(|learned| exists(&learned.first) && exists(&learned.second));
    }
}

fn cache_file_path(run_data_dir: &Path) -> PathBuf {
    run_data_dir.join("trace/conflicts.json")
}

fn access_file_path(run_data_dir: &Path, session: &SessionName) -> PathBuf {
    // Different session names may map to the same file name; the digest distinguishes them.
    let digest = blake3::hash(session.as_str().as_bytes()).to_hex();
    run_data_dir.join("trace/sessions").join(format!("{}-{}.json", session.slug(), &digest.as_str()[..8]))
}

/// Returns a digest of a session's definition: its name, its function and the functions it calls, interpreter, backend,
/// parameters, arguments, and how many sessions it requires. The required sessions themselves are indexes, which change
/// when other sessions are added.
pub(crate) fn session_digest(session: &Session, posargs: &[String]) -> String {
    let parts = serde_json::json!([
        session.name,
        session.source_digest,
        session.python,
        session.backend,
        session.parameters,
        session.requires.len(),
        posargs,
    ]);
    blake3::hash(parts.to_string().as_bytes()).to_hex().chars().take(32).collect()
}
