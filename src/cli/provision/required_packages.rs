//! What a session wants of a store, and what became of it.

use std::collections::BTreeSet;

use crate::cache::keys::{InstalledPackage, StoredKey};
use crate::cache::store::RestoreReport;
use crate::cache::{PackageSelection, SelectedPackage};
use crate::cli::session_keys::{SessionKey, SessionKeys};
use crate::fs::Sha256Digest;
use crate::project::lock::{ClosureRoot, normalize_name};
use crate::project::{NoxfileManifest, Session};
use crate::record::CacheStats;

/// How many misses a session's reason names.
const MAX_LISTED_REASONS: usize = 3;

/// What a session wants of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RequiredPackages {
    /// What it is known to install.
    pub(super) required: Vec<SelectedPackage>,
    /// What it may need besides, such as what builds packages.
    pub(super) optional: Vec<SelectedPackage>,
    /// Whether it installs anything, as far as its source tells.
    pub(super) has_installs: bool,
    /// Whether `counted` is all of the lock, for want of words that tell what of it is meant.
    is_guess: bool,
}

impl RequiredPackages {
    /// The packages of the lock where a session obeys it, else what its environment held last time.
    pub(super) fn for_session(keyed: &SessionKeys, keyed_session: &SessionKey, manifest: &NoxfileManifest) -> Self {
        let session = &manifest.sessions[keyed_session.id.0];
        let installs = !session.installs.is_empty();
        let (counted, guessed) = known_packages(keyed, keyed_session, session, manifest);
        let mut wants = Self { required: counted, optional: Vec::new(), has_installs: installs, is_guess: guessed };
        let nearest = || Some(keyed.key_index.as_ref()?.find_nearest(&keyed_session.fingerprint)?.0.installed_packages);
        if let Some(held) = Some(()).filter(|()| guessed).and_then(|()| nearest()) {
            wants.narrow_to(&held.iter().filter_map(wanted_package).collect::<Vec<_>>());
        }
        wants
    }

    /// Leaves of what was guessed the packages that the environment held in an earlier state, by name: in the lock's
    /// versions. What is new in it is fetched.
    pub(super) fn narrow_to(&mut self, held: &[SelectedPackage]) {
        if self.is_guess && !held.is_empty() {
            let name = |package: &SelectedPackage| normalize_name(package.name.split(' ').next().unwrap_or_default());
            let names: BTreeSet<String> = held.iter().map(name).collect();
            self.required.retain(|package| names.contains(&name(package)));
            self.is_guess = false;
        }
    }

    /// All of it, nothing twice.
    pub(super) fn iter_unique(&self) -> impl Iterator<Item = &SelectedPackage> {
        let mut seen: BTreeSet<Sha256Digest> =
            self.required.iter().flat_map(|package| &package.digests).copied().collect();
        let new = move |package: &&SelectedPackage| {
            let new = package.digests.iter().any(|digest| !seen.contains(digest));
            seen.extend(&package.digests);
            new
        };
        self.required.iter().chain(self.optional.iter().filter(new))
    }

    /// What a restore did for the session; `reason` says why it is not as before.
    pub(super) fn cache_use(&self, report: &RestoreReport, seconds: f64, reason: String) -> CacheStats {
        let names: BTreeSet<&str> = self.required.iter().map(|package| package.name.as_str()).collect();
        let missed = report.misses.iter().filter(|miss| names.contains(miss.name.as_str()));
        let misses: Vec<String> = missed.map(|miss| format!("{} ({})", miss.name, miss.reason)).collect();
        let mut reasons = vec![reason];
        if !misses.is_empty() {
            let count = misses.len();
            reasons.push(format!(
                "not had: {}",
                format_truncated(misses.iter().take(MAX_LISTED_REASONS).cloned().collect(), count)
            ));
        }
        reasons.retain(|reason| !reason.is_empty());
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        CacheStats {
            hits: count(names.len().saturating_sub(misses.len())),
            misses: count(misses.len()),
            bytes: report.bytes,
            ms: (seconds * 1_000.0) as u64,
            reason: reasons.join("; "),
        }
    }
}

/// What a session is known to install, and whether that is a guess.
fn known_packages(
    keyed: &SessionKeys,
    keyed_session: &SessionKey,
    session: &Session,
    manifest: &NoxfileManifest,
) -> (Vec<SelectedPackage>, bool) {
    let recipe = &keyed_session.fingerprint;
    let keys = keyed.key_index.as_ref();
    let exact = keys.and_then(|keys| keys.find_exact(recipe));
    let held = |last: StoredKey| (last.installed_packages.iter().filter_map(wanted_package).collect(), false);
    let asked = keyed.key_context.requested_installs(session, &manifest.root);
    if is_locked(keyed, session) {
        // What the words do not tell, the last install by the same facts does: not all of the lock is meant.
        if let Some(last) = exact.filter(|_| asked.has_unknown_args) {
            return held(last);
        }
    } else if let Some(last) = exact.or_else(|| keys?.find_nearest(recipe).map(|(kept, _)| kept)) {
        return held(last);
    }
    let (Some(lock), Some(python)) = (&keyed.key_context.lock, &keyed_session.interpreter) else {
        return (Vec::new(), false);
    };
    let roots: Vec<ClosureRoot> = asked.closure_roots.into_iter().collect();
    let closure = lock.resolve_closure(&roots, &python.markers);
    match PackageSelection::from_lock_closure(&closure, &python.markers.python_version) {
        PackageSelection::Only(packages) => (packages, asked.has_unknown_args),
        PackageSelection::All => (Vec::new(), false),
    }
}

/// Why a session's key is another one than before, in words; empty where it is not.
pub(super) fn key_change_reason(keyed: &SessionKeys, session: &SessionKey) -> String {
    let Some(keys) = &keyed.key_index else { return String::new() };
    if keys.find_exact(&session.fingerprint).is_some() {
        return String::new();
    }
    match keys.find_nearest(&session.fingerprint) {
        None => "never installed here".to_owned(),
        Some((_, differences)) => {
            let named = differences.iter().take(MAX_LISTED_REASONS).map(|d| format!("{} {}", d.kind.as_str(), d.name));
            format!("changed: {}", format_truncated(named.collect(), differences.len()))
        }
    }
}

/// Whether a session gets the versions of the lock, whatever the index has by now.
pub(super) fn is_locked(keyed: &SessionKeys, session: &Session) -> bool {
    keyed.key_context.is_locked || has_uv_sync(session)
}

/// Whether a session's installs obey the lock by themselves.
fn has_uv_sync(session: &Session) -> bool {
    let sync = |words: &[String]| words.first().is_some_and(|w| w == "uv") && words.get(1).is_some_and(|w| w == "sync");
    session.installs.iter().any(|words| sync(words))
}

fn wanted_package(held: &InstalledPackage) -> Option<SelectedPackage> {
    let digests: BTreeSet<Sha256Digest> = held.sha256.iter().filter_map(|hex| Sha256Digest::from_hex(hex)).collect();
    (!digests.is_empty()).then(|| SelectedPackage { name: format!("{} {}", held.name, held.version), digests })
}

/// Some of many, and how many more there are.
fn format_truncated(mut some: Vec<String>, all: usize) -> String {
    if all > some.len() {
        some.push(format!("{} more", all - some.len()));
    }
    some.join(", ")
}
