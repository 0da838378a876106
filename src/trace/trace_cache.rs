//! What was learnt of a project's sessions, kept between runs: what each touched last, and which must be kept apart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::access_file::{AccessFile, AccessFileError};
use super::session_accesses::SessionAccesses;
use crate::fs::write_atomic;
use crate::project::{NoxfileManifest, Session, SessionName};

/// The version of `learnt.json` that this program writes.
const FORMAT_VERSION: u32 = 1;

/// How two sessions are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeparationKind {
    /// They hold a lock, in whatever order.
    Lock,
    /// The second waits for the first.
    Order,
}

/// Two sessions that must be kept apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedConflict {
    /// The earlier in nox's order.
    pub first: String,
    /// The later.
    pub second: String,
    /// How they are kept apart.
    pub apart: SeparationKind,
    /// On what they conflict.
    pub path: String,
}

/// What was learnt of a project, as `.noxide/trace/learnt.json` holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TraceCache {
    version: u32,
    /// Fingerprints of the sessions that were traced.
    pub(crate) sessions: BTreeMap<String, String>,
    /// Who must be kept apart.
    pub(crate) apart: Vec<LearnedConflict>,
}

impl TraceCache {
    /// What is known below a `.noxide` folder; nothing where there is no file, or none this program can read.
    pub(crate) fn load(noxide: &Path) -> Self {
        let read = fs_err::read(cache_file_path(noxide)).ok();
        let known: Option<Self> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        known.filter(|known| known.version == FORMAT_VERSION).unwrap_or_default()
    }

    /// Keeps it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn save(&mut self, noxide: &Path) -> Result<(), AccessFileError> {
        self.version = FORMAT_VERSION;
        fs_err::create_dir_all(noxide.join("trace"))?;
        let mut text = serde_json::to_vec_pretty(self).map_err(std::io::Error::from)?;
        text.push(b'\n');
        Ok(write_atomic(&cache_file_path(noxide), &text)?)
    }

    /// Whether a session was traced and is another now.
    pub(crate) fn is_stale(&self, session: &Session, posargs: &[String]) -> bool {
        self.sessions.get(session.name.as_str()).is_some_and(|known| *known != session_fingerprint(session, posargs))
    }

    /// What a session touched when it was traced last.
    pub(crate) fn load_accesses(noxide: &Path, session: &SessionName) -> Option<AccessFile> {
        AccessFile::read(&access_file_path(noxide, session)).ok().filter(|file| file.session == *session)
    }

    /// Keeps what a session touched, for later comparisons.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn save_accesses(
        noxide: &Path,
        session: &Session,
        posargs: &[String],
        accesses: &SessionAccesses,
    ) -> Result<AccessFile, AccessFileError> {
        let file = AccessFile::new(session.name.clone(), session_fingerprint(session, posargs), accesses.clone());
        file.write(&access_file_path(noxide, &session.name))?;
        Ok(file)
    }

    /// The sessions of a noxfile that it still has: what was learnt of others is forgotten.
    pub(crate) fn retain_sessions(&mut self, manifest: &NoxfileManifest) {
        let has = |name: &String| manifest.sessions.iter().any(|session| session.name.as_str() == name);
        self.sessions.retain(|name, _| has(name));
        self.apart.retain(|learnt| has(&learnt.first) && has(&learnt.second));
    }
}

fn cache_file_path(noxide: &Path) -> PathBuf {
    noxide.join("trace/learnt.json")
}

fn access_file_path(noxide: &Path, session: &SessionName) -> PathBuf {
    // Two names may be alike as file names; the digest tells them apart.
    let digest = blake3::hash(session.as_str().as_bytes()).to_hex();
    noxide.join("trace/sessions").join(format!("{}-{}.json", session.slug(), &digest.as_str()[..8]))
}

/// A digest of what a session is made of: its function and those it calls, its interpreter, backend, parameters and
/// arguments. What it installs and runs is said in its function.
pub(crate) fn session_fingerprint(session: &Session, posargs: &[String]) -> String {
    let parts = serde_json::json!([
        session.name,
        session.source,
        session.python,
        session.backend,
        session.parameters,
        session.requires.len(),
        posargs,
    ]);
    blake3::hash(parts.to_string().as_bytes()).to_hex().chars().take(32).collect()
}
