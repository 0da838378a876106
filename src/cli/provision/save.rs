//! What a run's sessions have fetched and made, kept: wheels, keys, environments, bytecode, folders.

use std::collections::{BTreeMap, BTreeSet};

use super::cache_provisioner::CacheProvisioner;
use crate::cache::keys::InstalledPackage;
use crate::cache::store::{EntryId, SaveReport, StoreError};
use crate::cache::uv::UvCachedWheel;
use crate::cache::{PackageSelection, ProgressReporter, SelectedPackage};
use crate::cli::session_keys::installed_packages;
use crate::project::SessionId;
use crate::project::lock::normalize_name;
use crate::run::FinishedSession;

impl CacheProvisioner {
    /// The run is over: folders that are kept whole are kept as they are now.
    pub(in crate::cli) fn save_folders(&mut self, progress: &dyn ProgressReporter) {
        let (new, troubles) = self.folders.save(&self.store, progress);
        self.warnings.extend(troubles.into_iter().chain(self.unverifiable_warning()));
        self.mark_used(new);
    }

    /// Takes in what these sessions' environments hold, and keeps the keys that say so.
    pub(in crate::cli) fn save_sessions(&mut self, ids: &[SessionId], progress: &dyn ProgressReporter) {
        let mut notices = Vec::new();
        for id in ids {
            self.required_packages(*id, &mut notices);
        }
        self.warnings.append(&mut notices);
        let ids: Vec<SessionId> = ids.iter().copied().filter(|id| self.is_uv_session(*id)).collect();
        let environments = ids.iter().filter_map(|id| self.environment_dir(*id));
        let holds: BTreeSet<String> = environments
            .flat_map(|folder| installed_packages(&folder))
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        let pointers = self.uv_cache.iter().flat_map(|uv| uv.scan_wheels().0);
        let pointers = pointers.filter(|pointer| holds.contains(&normalize_package(&pointer.name)));
        let package = |pointer: UvCachedWheel| SelectedPackage { name: pointer.name, digests: [pointer.digest].into() };
        let wanted = PackageSelection::Only(pointers.map(package).collect());
        self.save_wheels_and_keys(&ids, &wanted, progress);
        self.save_folders(progress);
    }

    /// Takes what is new in uv's cache into the store.
    fn save_wheels(&mut self, wanted: &PackageSelection, progress: &dyn ProgressReporter) {
        let Some(uv) = &self.uv_cache else { return };
        let done = self.store.save_wheels(wanted, uv, progress);
        self.record_saved(done);
    }

    /// Takes a few of the wheels that sessions have fetched so far; says whether there were any.
    pub(super) fn save_wheel_batch(&mut self, progress: &dyn ProgressReporter) -> bool {
        let Some(uv) = &self.uv_cache else { return false };
        let few = self.wheel_scanner.next_batch(uv);
        if few.is_empty() {
            return false;
        }
        let done = self.store.save_scanned_wheels(few, uv, progress);
        self.record_saved(done);
        true
    }

    /// Notes what was taken in, and what was not.
    fn record_saved(&mut self, done: Result<SaveReport, StoreError>) {
        let troubles = match done {
            Ok(report) => {
                self.unassigned_entries.extend(report.saved.iter().filter_map(|saved| EntryId::parse(&saved.entry)));
                let not = report.failures.iter();
                let troubles =
                    not.map(|not| format!("the cache did not take {} in: {}", not.name, not.reason)).collect();
                self.save_report.merge(report);
                troubles
            }
            Err(error) => vec![format!("the cache took nothing in: {error}")],
        };
        for trouble in troubles {
            if !self.warnings.contains(&trouble) {
                self.warnings.push(trouble);
            }
        }
    }

    /// Takes what is new in uv's cache into the store, and keeps each session's key with what it holds now.
    fn save_wheels_and_keys(
        &mut self,
        sessions: &[SessionId],
        wanted: &PackageSelection,
        progress: &dyn ProgressReporter,
    ) {
        let due = !self.unassigned_entries.is_empty();
        self.save_wheels(wanted, progress);
        if due {
            self.save_report.add_pruned(self.store.prune_if_over_limits()); // of what was taken in while sessions ran, nobody asked
        }
        let Some(uv) = &self.uv_cache else { return };
        let new = std::mem::take(&mut self.unassigned_entries);
        let mut troubles = Vec::new();
        let mut digests: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pointer in uv.scan_wheels().0 {
            digests.entry(normalize_package(&pointer.name)).or_default().push(pointer.digest.to_string());
        }
        for id in sessions {
            let environment = self.environment_dir(*id);
            if let Some(elsewhere) = &mut self.remote {
                elsewhere.upload_session(environment.as_deref(), &new, &self.store);
            }
            let Some(environment) = environment else { continue };
            let holds = installed_packages(&environment).into_iter().map(|(name, version)| {
                let sha256 = digests.get(&format!("{name} {version}")).cloned().unwrap_or_default();
                InstalledPackage { name, version, sha256 }
            });
            let Some(keyed) = &self.session_keys else { continue };
            if let (Some(keys), Some(session)) = (&keyed.key_index, keyed.session_key(*id)) {
                troubles
                    .extend(keys.store_key(&session.fingerprint, holds.collect()).err().map(|error| error.to_string()));
            }
        }
        troubles.retain(|trouble| !self.warnings.contains(trouble));
        self.warnings.extend(troubles);
    }

    /// Keeps what sessions that are over have fetched and made.
    pub(super) fn save_finished_sessions(&mut self, over: &[FinishedSession], progress: &dyn ProgressReporter) {
        let changed = |over: &&FinishedSession| {
            let session = self
                .session_keys
                .as_ref()
                .and_then(|keyed| Some((keyed.key_index.as_ref()?, keyed.session_key(over.id)?)));
            let known = session.is_some_and(|(keys, session)| keys.find_exact(&session.fingerprint).is_some());
            let installed = over.install.is_some_and(|install| install.commands > 0);
            self.is_uv_session(over.id) && (installed || (over.install.is_some() && !known) || self.remote.is_some())
        };
        let changed: Vec<SessionId> = over.iter().filter(changed).map(|over| over.id).collect();
        if !changed.is_empty() {
            self.save_wheels_and_keys(&changed, &PackageSelection::All, progress);
        }
        for over in over.iter().filter(|over| changed.contains(&over.id)) {
            // A session that was killed may have been in the midst of an install.
            let (Some(install), Some(place)) = (over.install, self.environment_dir(over.id)) else { continue };
            let kept = self.venvs.save(over.id, &place, &self.bytecode_tag(over.id), install.commands > 0, &self.store);
            self.warnings.extend(kept.warnings);
            self.mark_used(kept.new_entries);
        }
    }
}

/// `Foo.Bar 1.0` as environments have it: `foo-bar 1.0`.
fn normalize_package(name: &str) -> String {
    name.split_once(' ')
        .map_or_else(|| name.to_owned(), |(name, version)| format!("{} {version}", normalize_name(name)))
}
