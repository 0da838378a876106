//! Environments of a run's sessions: put back where nox would reuse one, kept where a run has made one.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use jiff::Timestamp;

use crate::cache::keys::FactKind;
use crate::cache::store::{KeptVenv, Miss, Restored};
use crate::cache::{Progress, Store};
use crate::cli::keyed::KeyedSession;
use crate::fs::blake3_hex;
use crate::project::{Session, SessionId};

/// What the host keeps in an environment: the installs that built it.
const BUILT: &str = ".noxide-installs.json";

/// Variables that change how an install gets there and not what it gives.
const HOW: [&str; 14] = [
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
pub(super) struct Venvs {
    posargs: Vec<OsString>,
    /// Those that nox would reuse and that were not there: what was there may hold more than its installs ask for.
    kept: BTreeMap<SessionId, KeptVenv>,
    /// Those that were put back.
    restored: BTreeSet<SessionId>,
}

impl Venvs {
    /// Those of sessions that get these arguments.
    pub(super) fn of(posargs: &[OsString]) -> Self {
        Self { posargs: posargs.to_vec(), ..Self::default() }
    }

    /// Puts back the environment of a session that nox would reuse, where there is none; none where the store has none,
    /// or none that was made since `since`.
    ///
    /// # Errors
    /// Why it was not put back though it is kept.
    pub(super) fn restore(
        &mut self,
        (session, keyed): (&Session, &KeyedSession),
        since: Option<Timestamp>,
        store: &Store,
        progress: &dyn Progress,
    ) -> Result<Option<Restored>, Miss> {
        let facts = facts(session, keyed, &self.posargs);
        let Some(kept) = kept(session, keyed, &facts) else { return Ok(None) };
        let kept = kept.not_before(since);
        let done = store.restore_venv(&kept, progress);
        self.kept.insert(keyed.id, kept);
        match done {
            Ok(restored) => {
                self.restored.insert(keyed.id);
                Ok(Some(restored))
            }
            Err(miss) if miss.reason == Miss::NEVER => Ok(None),
            Err(miss) => Err(miss),
        }
    }

    /// Keeps the environment of a session as it is now; says why not where it cannot. One that was put back and got
    /// nothing more is known as it is.
    pub(super) fn save(&self, id: SessionId, installed: bool, store: &Store) -> Option<String> {
        let new = installed || !self.restored.contains(&id);
        let kept = self.kept.get(&id).filter(|_| new && store.is_writable())?;
        if !kept.path().join(BUILT).is_file() {
            return None; // an install failed, or nobody can tell what it was built by
        }
        let not = store.save_venv(kept).err()?;
        Some(format!("the environment {} is not kept: {}", not.name, not.reason))
    }
}

fn kept(session: &Session, keyed: &KeyedSession, facts: &str) -> Option<KeptVenv> {
    let (place, python) = (session.envdir.as_deref()?, keyed.python.as_ref()?);
    let reused = session.reuse && session.backend == "uv" && !session.installs.is_empty();
    let absent = std::fs::symlink_metadata(place).is_err();
    (reused && absent).then(|| KeptVenv::new(place, &python.executable, facts)).flatten()
}

/// What decides what an environment holds, besides its place and interpreter.
fn facts(session: &Session, keyed: &KeyedSession, posargs: &[OsString]) -> String {
    let mut facts = vec![keyed.recipe.digest(), session.venv_params.join("\0"), variables()];
    // Where the noxfile does not say what is installed, what follows `--` may.
    if keyed.recipe.facts.iter().any(|fact| fact.kind == FactKind::Install && fact.name == "noxfile") {
        facts.extend(posargs.iter().map(|word| word.to_string_lossy().into_owned()));
    }
    facts.join("\n")
}

/// uv's and pip's variables, with the content of files that they name.
fn variables() -> String {
    let ours = |name: &str| (name.starts_with("UV_") || name.starts_with("PIP_")) && !HOW.contains(&name);
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
