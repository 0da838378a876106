//! Environments of a run's sessions: put back where nox would reuse one, kept where a run has made one.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsString;
use std::path::Path;

use jiff::Timestamp;

use crate::cache::keys::KeyInputKind;
use crate::cache::store::{CacheMiss, EntryId, RestoredEntry, SaveFailure, SavedEntry, VenvSpec, VersionedKey};
use crate::cache::{ProgressReporter, Store};
use crate::cli::session_keys::SessionKey;
use crate::fs::blake3_hex;
use crate::project::{Session, SessionId};

/// What the host keeps in an environment: the installs that built it.
const INSTALLS_FILE: &str = ".noxide-installs.json";
/// What the host keeps there too: the bytecode that it put there.
const BYTECODE_FILE: &str = ".noxide-bytecode.json";

/// Variables that change how an install gets there and not what it gives.
const IGNORED_VARIABLES: [&str; 14] = [
    "UV_CACHE_DIR",
    "UV_OFFLINE",
    "UV_LINK_MODE",
    "UV_NO_PROGRESS",
    "UV_NO_CACHE",
    "UV_CONCURRENT_DOWNLOADS",
    "UV_CONCURRENT_BUILDS",
    "UV_CONCURRENT_INSTALLS",
    "UV_HTTP_TIMEOUT",
    "UV_LOCK_TIMEOUT",
    "UV_PYTHON_DOWNLOADS",
    "PIP_CACHE_DIR",
    "PIP_PROGRESS_BAR",
    "PIP_DISABLE_PIP_VERSION_CHECK",
];

/// The environments that a run may have from the store, or keep there.
#[derive(Debug, Default)]
pub(super) struct VenvCache {
    posargs: Vec<OsString>,
    /// Those that nox would reuse and that were not there: what was there may hold more than its installs ask for.
    reusable: BTreeMap<SessionId, VenvSpec>,
    /// Those that were put back.
    restored: BTreeSet<SessionId>,
}

impl VenvCache {
    /// Those of sessions that get these arguments.
    pub(super) fn for_posargs(posargs: &[OsString]) -> Self {
        Self { posargs: posargs.to_vec(), ..Self::default() }
    }

    /// Puts back the environment of a session that nox would reuse, where there is none; none where the store has none,
    /// or none that was made since `since`.
    ///
    /// # Errors
    /// Why it was not put back though it is kept.
    pub(super) fn restore(
        &mut self,
        (session, keyed): (&Session, &SessionKey),
        since: Option<Timestamp>,
        store: &Store,
        progress: &dyn ProgressReporter,
    ) -> Result<Option<RestoredEntry>, CacheMiss> {
        let facts = venv_fingerprint(session, keyed, &self.posargs);
        let Some(kept) = reusable_venv(session, keyed, &facts) else { return Ok(None) };
        let kept = kept.with_not_before(since);
        let done = store.restore_venv(&kept, progress);
        self.reusable.insert(keyed.id, kept);
        match done {
            Ok(restored) => {
                self.restored.insert(keyed.id);
                Ok(Some(restored))
            }
            Err(miss) if miss.reason == CacheMiss::NOT_STORED => Ok(None),
            Err(miss) => Err(miss),
        }
    }

    /// What the environment of a session is called in a store; none where nox would not reuse one.
    pub(super) fn venv_key(&self, session: &Session, keyed: &SessionKey) -> Option<VersionedKey> {
        reusable_venv(session, keyed, &venv_fingerprint(session, keyed, &self.posargs)).map(|kept| kept.versioned_key())
    }

    /// Keeps the environment of a session as it is now, and what it has of bytecode for interpreters of a tag. One that
    /// was put back and got nothing more is known as it is.
    pub(super) fn save(
        &self,
        id: SessionId,
        place: &Path,
        tag: &str,
        installed: bool,
        store: &Store,
    ) -> VenvSaveResult {
        let mut done = VenvSaveResult::default();
        let new = installed || !self.restored.contains(&id);
        // Without the host's word an install failed, or nobody can tell what it was built by.
        let kept = self.reusable.get(&id).filter(|kept| new && kept.path().join(INSTALLS_FILE).is_file());
        let compiles = store.options().bytecode && installed && !tag.is_empty();
        if !store.is_writable() || (kept.is_none() && !compiles) {
            return done;
        }
        let environment = match store.scan_venv(place) {
            Ok(environment) => environment,
            Err(why) => {
                done.warnings
                    .extend(kept.map(|kept| format!("the environment {} is not kept: {why}", kept.display_name())));
                return done;
            }
        };
        let mut without = HashSet::new();
        if compiles {
            for saved in store.save_bytecode(&environment, tag) {
                done.add_saved(saved.map(Some));
            }
            without = store.stored_bytecode_paths(&environment, tag);
            without.insert(BYTECODE_FILE.to_owned());
        }
        if let Some(kept) = kept {
            let saved = store.save_scanned_venv(kept, &environment, &without);
            done.add_saved(saved.map_err(|not| SaveFailure { name: format!("the environment {}", not.name), ..not }));
        }
        done
    }
}

/// What is new in the store of sessions' environments.
#[derive(Debug, Default)]
pub(super) struct VenvSaveResult {
    pub(super) new_entries: Vec<EntryId>,
    /// What went wrong, in sentences.
    pub(super) warnings: Vec<String>,
}

impl VenvSaveResult {
    fn add_saved(&mut self, saved: Result<Option<SavedEntry>, SaveFailure>) {
        match saved {
            Ok(saved) => self.new_entries.extend(saved.and_then(|saved| EntryId::parse(&saved.entry))),
            Err(not) => self.warnings.push(format!("{} is not kept: {}", not.name, not.reason)),
        }
    }
}

fn reusable_venv(session: &Session, keyed: &SessionKey, facts: &str) -> Option<VenvSpec> {
    let (place, python) = (session.envdir.as_deref()?, keyed.interpreter.as_ref()?);
    let reused = session.reuse && session.backend == "uv" && !session.installs.is_empty();
    let absent = std::fs::symlink_metadata(place).is_err();
    (reused && absent).then(|| VenvSpec::new(place, &python.executable, facts)).flatten()
}

/// What decides what an environment holds, besides its place and interpreter.
fn venv_fingerprint(session: &Session, keyed: &SessionKey, posargs: &[OsString]) -> String {
    let mut facts = vec![keyed.fingerprint.digest(), session.venv_params.join("\0"), installer_variables()];
    // Where the noxfile does not say what is installed, what follows `--` may.
    if keyed.fingerprint.inputs.iter().any(|fact| fact.kind == KeyInputKind::InstallCommand && fact.name == "noxfile") {
        facts.extend(posargs.iter().map(|word| word.to_string_lossy().into_owned()));
    }
    facts.join("\n")
}

/// uv's and pip's variables, with the content of files that they name.
fn installer_variables() -> String {
    let ours = |name: &str| (name.starts_with("UV_") || name.starts_with("PIP_")) && !IGNORED_VARIABLES.contains(&name);
    let mut found: Vec<String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok().filter(|name| ours(name))?, value)))
        .map(|(name, value)| {
            let value = value.to_string_lossy();
            let files = value.split_whitespace().filter(|word| Path::new(word).is_file());
            let digests = files.filter_map(|file| Some(blake3_hex(&std::fs::read(file).ok()?)));
            format!("{name}={value} {}", digests.collect::<Vec<_>>().join(" "))
        })
        .collect();
    found.sort();
    found.join("\n")
}
