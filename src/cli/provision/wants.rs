//! What a session wants of a store, and what became of it.

use std::collections::BTreeSet;

use crate::cache::keys::{Held, Kept};
use crate::cache::store::RestoreReport;
use crate::cache::{Wanted, WantedPackage};
use crate::cli::keyed::{Keyed, KeyedSession};
use crate::fs::Sha256;
use crate::project::lock::{Root, normal};
use crate::project::{Manifest, Session};
use crate::record::CacheUse;

/// How many misses a session's reason names.
const NAMED: usize = 3;

/// What a session wants of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wants {
    /// What it is known to install.
    pub(super) counted: Vec<WantedPackage>,
    /// What it may need besides, such as what builds packages.
    pub(super) beside: Vec<WantedPackage>,
    /// Whether it installs anything, as far as its source tells.
    pub(super) installs: bool,
    /// Whether `counted` is all of the lock, for want of words that tell what of it is meant.
    guessed: bool,
}

impl Wants {
    /// The packages of the lock where a session obeys it, else what its environment held last time.
    pub(super) fn of(keyed: &Keyed, keyed_session: &KeyedSession, manifest: &Manifest) -> Self {
        let session = &manifest.sessions[keyed_session.id.0];
        let installs = !session.installs.is_empty();
        let (counted, guessed) = counted(keyed, keyed_session, session, manifest);
        let mut wants = Self { counted, beside: Vec::new(), installs, guessed };
        let nearest = || Some(keyed.keys.as_ref()?.nearest(&keyed_session.recipe)?.0.held);
        if let Some(held) = Some(()).filter(|()| guessed).and_then(|()| nearest()) {
            wants.narrow(&held.iter().filter_map(wanted_of).collect::<Vec<_>>());
        }
        wants
    }

    /// Leaves of what was guessed the packages that the environment held in an earlier state, by name: in the lock's
    /// versions. What is new in it is fetched.
    pub(super) fn narrow(&mut self, held: &[WantedPackage]) {
        if self.guessed && !held.is_empty() {
            let name = |package: &WantedPackage| normal(package.name.split(' ').next().unwrap_or_default());
            let names: BTreeSet<String> = held.iter().map(name).collect();
            self.counted.retain(|package| names.contains(&name(package)));
            self.guessed = false;
        }
    }

    /// All of it, nothing twice.
    pub(super) fn all(&self) -> impl Iterator<Item = &WantedPackage> {
        let mut seen: BTreeSet<Sha256> = self.counted.iter().flat_map(|package| &package.digests).copied().collect();
        let new = move |package: &&WantedPackage| {
            let new = package.digests.iter().any(|digest| !seen.contains(digest));
            seen.extend(&package.digests);
            new
        };
        self.counted.iter().chain(self.beside.iter().filter(new))
    }

    /// What a restore did for the session; `reason` says why it is not as before.
    pub(super) fn used(&self, report: &RestoreReport, seconds: f64, reason: String) -> CacheUse {
        let names: BTreeSet<&str> = self.counted.iter().map(|package| package.name.as_str()).collect();
        let missed = report.misses.iter().filter(|miss| names.contains(miss.name.as_str()));
        let misses: Vec<String> = missed.map(|miss| format!("{} ({})", miss.name, miss.reason)).collect();
        let mut reasons = vec![reason];
        if !misses.is_empty() {
            let count = misses.len();
            reasons.push(format!("not had: {}", listed(misses.iter().take(NAMED).cloned().collect(), count)));
        }
        reasons.retain(|reason| !reason.is_empty());
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        CacheUse {
            hits: count(names.len().saturating_sub(misses.len())),
            misses: count(misses.len()),
            bytes: report.bytes,
            ms: (seconds * 1_000.0) as u64,
            reason: reasons.join("; "),
        }
    }
}

/// What a session is known to install, and whether that is a guess.
fn counted(
    keyed: &Keyed,
    keyed_session: &KeyedSession,
    session: &Session,
    manifest: &Manifest,
) -> (Vec<WantedPackage>, bool) {
    let recipe = &keyed_session.recipe;
    let keys = keyed.keys.as_ref();
    let exact = keys.and_then(|keys| keys.hit(recipe));
    let held = |last: Kept| (last.held.iter().filter_map(wanted_of).collect(), false);
    let asked = keyed.surroundings.asked(session, &manifest.root);
    if obeys(keyed, session) {
        // What the words do not tell, the last install by the same facts does: not all of the lock is meant.
        if let Some(last) = exact.filter(|_| asked.unclear) {
            return held(last);
        }
    } else if let Some(last) = exact.or_else(|| keys?.nearest(recipe).map(|(kept, _)| kept)) {
        return held(last);
    }
    let (Some(lock), Some(python)) = (&keyed.surroundings.lock, &keyed_session.python) else {
        return (Vec::new(), false);
    };
    let roots: Vec<Root> = asked.roots.into_iter().collect();
    let closure = lock.closure(&roots, &python.markers);
    match Wanted::of_closure(&closure, &python.markers.python_version) {
        Wanted::These(packages) => (packages, asked.unclear),
        Wanted::All => (Vec::new(), false),
    }
}

/// Why a session's key is another one than before, in words; empty where it is not.
pub(super) fn new_to_us(keyed: &Keyed, session: &KeyedSession) -> String {
    let Some(keys) = &keyed.keys else { return String::new() };
    if keys.hit(&session.recipe).is_some() {
        return String::new();
    }
    match keys.nearest(&session.recipe) {
        None => "never installed here".to_owned(),
        Some((_, differences)) => {
            let named = differences.iter().take(NAMED).map(|d| format!("{} {}", d.kind.as_str(), d.name));
            format!("changed: {}", listed(named.collect(), differences.len()))
        }
    }
}

/// Whether a session gets the versions of the lock, whatever the index has by now.
pub(super) fn obeys(keyed: &Keyed, session: &Session) -> bool {
    keyed.surroundings.locked || syncs(session)
}

/// Whether a session's installs obey the lock by themselves.
fn syncs(session: &Session) -> bool {
    let sync = |words: &[String]| words.first().is_some_and(|w| w == "uv") && words.get(1).is_some_and(|w| w == "sync");
    session.installs.iter().any(|words| sync(words))
}

fn wanted_of(held: &Held) -> Option<WantedPackage> {
    let digests: BTreeSet<Sha256> = held.sha256.iter().filter_map(|hex| Sha256::from_hex(hex)).collect();
    (!digests.is_empty()).then(|| WantedPackage { name: format!("{} {}", held.name, held.version), digests })
}

/// Some of many, and how many more there are.
fn listed(mut some: Vec<String>, all: usize) -> String {
    if all > some.len() {
        some.push(format!("{} more", all - some.len()));
    }
    some.join(", ")
}
