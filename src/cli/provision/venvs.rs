//! Environments of a run's sessions: put back where nox would reuse one, kept where a run has made one.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsString;
use std::path::Path;

use jiff::Timestamp;

use crate::cache::keys::FactKind;
use crate::cache::store::{EntryId, KeptVenv, Miss, NotSaved, Restored, Saved, StateName};
use crate::cache::{Progress, Store};
use crate::cli::keyed::KeyedSession;
use crate::fs::blake3_hex;
use crate::project::{Session, SessionId};

/// What the host keeps in an environment: the installs that built it.
const BUILT: &str = ".noxide-installs.json";
/// What the host keeps there too: the bytecode that it put there.
const PLACED: &str = ".noxide-bytecode.json";

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

    /// What the environment of a session is called in a store; none where nox would not reuse one.
    pub(super) fn state(&self, session: &Session, keyed: &KeyedSession) -> Option<StateName> {
        kept(session, keyed, &facts(session, keyed, &self.posargs)).map(|kept| kept.state())
    }

    /// Keeps the environment of a session as it is now, and what it has of bytecode for interpreters of a tag. One that
    /// was put back and got nothing more is known as it is.
    pub(super) fn save(&self, id: SessionId, place: &Path, tag: &str, installed: bool, store: &Store) -> Kept {
        let mut done = Kept::default();
        let new = installed || !self.restored.contains(&id);
        // Without the host's word an install failed, or nobody can tell what it was built by.
        let kept = self.kept.get(&id).filter(|kept| new && kept.path().join(BUILT).is_file());
        let compiles = store.options().bytecode && installed && !tag.is_empty();
        if !store.is_writable() || (kept.is_none() && !compiles) {
            return done;
        }
        let environment = match store.look(place) {
            Ok(environment) => environment,
            Err(why) => {
                done.troubles.extend(kept.map(|kept| format!("the environment {} is not kept: {why}", kept.name())));
                return done;
            }
        };
        let mut without = HashSet::new();
        if compiles {
            for saved in store.save_bytecode(&environment, tag) {
                done.add(saved.map(Some));
            }
            without = store.bytecode_in(&environment, tag);
            without.insert(PLACED.to_owned());
        }
        if let Some(kept) = kept {
            let saved = store.save_looked(kept, &environment, &without);
            done.add(saved.map_err(|not| NotSaved { name: format!("the environment {}", not.name), ..not }));
        }
        done
    }
}

/// What is new in the store of sessions' environments.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) new: Vec<EntryId>,
    /// What went wrong, in sentences.
    pub(super) troubles: Vec<String>,
}

impl Kept {
    fn add(&mut self, saved: Result<Option<Saved>, NotSaved>) {
        match saved {
            Ok(saved) => self.new.extend(saved.and_then(|saved| EntryId::parse(&saved.entry))),
            Err(not) => self.troubles.push(format!("{} is not kept: {}", not.name, not.reason)),
        }
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
