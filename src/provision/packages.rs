//! Packages that a session needs, according to uv.lock or to its environment after an earlier install.

use std::collections::BTreeSet;

use super::session_keys::{SessionKeyInputs, SessionKeys};
use crate::cache::keys::{InstalledPackage, StoredKeyInputs};
use crate::cache::store::RestoreReport;
use crate::cache::{PackageSelection, SelectedPackage};
use crate::fs::Sha256Digest;
use crate::project::dependencies::{ClosureRoot, normalize_name};
use crate::project::{NoxfileManifest, Session};
use crate::record::CacheStats;

/// Maximum number of misses or changes to list in a reason.
const MAX_LISTED_REASONS: usize = 3;

/// Packages a session needs from the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RequiredPackages {
    /// Packages it is known to install.
    pub(super) required: Vec<SelectedPackage>,
    /// Packages it may also need, such as build dependencies.
    pub(super) optional: Vec<SelectedPackage>,
    /// Whether its source in the noxfile has install commands.
    pub(super) has_installs: bool,
    /// Whether `required` may be too large, because the install commands do not show which part of the lock file they
    /// need.
    is_guess: bool,
}

impl RequiredPackages {
    /// Returns the packages of the lock file if a session installs by it, else those of its environment after the last
    /// install.
    pub(super) fn for_session(keys: &SessionKeys, inputs: &SessionKeyInputs, manifest: &NoxfileManifest) -> Self {
        let session = &manifest.sessions[inputs.id.0];
        let KnownPackages { packages: required, is_guess } = known_packages(keys, inputs, session, manifest);
        let has_installs = !session.installs.is_empty();
        let mut packages = Self { required, optional: Vec::new(), has_installs, is_guess };
        let nearest = || Some(keys.key_index.as_ref()?.find_nearest(&inputs.key_inputs)?.0.installed_packages);
        if is_guess && let Some(installed) = nearest() {
            packages.narrow_to(&installed.iter().filter_map(to_selected_package).collect::<Vec<_>>());
        }
        packages
    }

    /// Reduces a guess to the packages that the environment had before, by name, in the versions of the lock file. The
    /// session itself downloads packages that it did not have.
    pub(super) fn narrow_to(&mut self, installed: &[SelectedPackage]) {
        if self.is_guess && !installed.is_empty() {
            let name = |package: &SelectedPackage| normalize_name(package.name.split(' ').next().unwrap_or_default());
            let names: BTreeSet<String> = installed.iter().map(name).collect();
            self.required.retain(|package| names.contains(&name(package)));
            self.is_guess = false;
        }
    }

    /// Returns required and optional packages without duplicates.
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

    /// Counts hits and misses of a restore; `key_change` explains why the key differs from the last one.
    pub(super) fn cache_stats(&self, report: &RestoreReport, seconds: f64, key_change: String) -> CacheStats {
        let names: BTreeSet<&str> = self.required.iter().map(|package| package.name.as_str()).collect();
        let missed = report.misses.iter().filter(|miss| names.contains(miss.name.as_str()));
        let misses: Vec<String> = missed.map(|miss| format!("{} ({})", miss.name, miss.reason)).collect();
        let mut reasons = vec![key_change];
        if !misses.is_empty() {
            let listed = misses.iter().take(MAX_LISTED_REASONS).cloned().collect();
            reasons.push(format!("missing: {}", format_truncated(listed, misses.len())));
        }
        reasons.retain(|reason| !reason.is_empty());
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        CacheStats {
            hits: count(names.len().saturating_sub(misses.len())),
            misses: count(misses.len()),
            restored_bytes: report.bytes,
            restore_ms: (seconds * 1_000.0) as u64,
            miss_reason: reasons.join("; "),
        }
    }
}

/// Packages that a session installs, as far as they are known.
struct KnownPackages {
    packages: Vec<SelectedPackage>,
    /// Whether they may be too many.
    is_guess: bool,
}

fn known_packages(
    keys: &SessionKeys,
    inputs: &SessionKeyInputs,
    session: &Session,
    manifest: &NoxfileManifest,
) -> KnownPackages {
    let index = keys.key_index.as_ref();
    let exact = index.and_then(|index| index.find_exact(&inputs.key_inputs));
    let installed = |stored: StoredKeyInputs| KnownPackages {
        packages: stored.installed_packages.iter().filter_map(to_selected_package).collect(),
        is_guess: false,
    };
    let requested = keys.key_context.requested_installs(session, &manifest.root);
    if has_locked_versions(keys, session) {
        // Install commands with unknown arguments may need only a part of the lock file; an earlier install with the
        // same key shows which.
        if let Some(stored) = exact.filter(|_| requested.has_unknown_args) {
            return installed(stored);
        }
    } else if let Some(stored) = exact.or_else(|| index?.find_nearest(&inputs.key_inputs).map(|(stored, _)| stored)) {
        return installed(stored);
    }
    let (Some(lock_file), Some(python)) = (&keys.key_context.lock_file, &inputs.interpreter) else {
        return KnownPackages { packages: Vec::new(), is_guess: false };
    };
    let roots: Vec<ClosureRoot> = requested.closure_roots.into_iter().collect();
    let closure = lock_file.resolve_closure(&roots, &python.markers);
    let packages = PackageSelection::packages_of_closure(&closure, &python.markers.python_version);
    KnownPackages { packages, is_guess: requested.has_unknown_args }
}

/// Explains why a session's key differs from the last one; empty if it does not.
pub(super) fn key_change_reason(keys: &SessionKeys, inputs: &SessionKeyInputs) -> String {
    let Some(index) = &keys.key_index else { return String::new() };
    if index.find_exact(&inputs.key_inputs).is_some() {
        return String::new();
    }
    match index.find_nearest(&inputs.key_inputs) {
        None => "no earlier install on this machine".to_owned(),
        Some((_, changes)) => {
            let listed = changes.iter().take(MAX_LISTED_REASONS).map(|d| format!("{} {}", d.kind.as_str(), d.name));
            format!("changed: {}", format_truncated(listed.collect(), changes.len()))
        }
    }
}

/// Whether a session gets the versions of the lock file, regardless of newer releases on the index.
pub(super) fn has_locked_versions(keys: &SessionKeys, session: &Session) -> bool {
    let is_sync = |words: &[String]| matches!(words, [uv, sync, ..] if uv == "uv" && sync == "sync");
    keys.key_context.uses_locked_versions || session.installs.iter().any(|words| is_sync(words))
}

fn to_selected_package(installed: &InstalledPackage) -> Option<SelectedPackage> {
    let digests: BTreeSet<Sha256Digest> =
        installed.sha256.iter().filter_map(|hex| Sha256Digest::from_hex(hex)).collect();
    (!digests.is_empty())
        .then(|| SelectedPackage { name: format!("{} {}", installed.name, installed.version), digests })
}

/// Joins the first items of a list and counts the rest.
fn format_truncated(mut listed: Vec<String>, total: usize) -> String {
    if total > listed.len() {
        listed.push(format!("{} more", total - listed.len()));
    }
    listed.join(", ")
}
