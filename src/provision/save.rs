//! Saving after sessions: wheels, keys, environments, bytecode and directories.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::environment_lock::EnvironmentLock;
use super::provisioner::CacheProvisioner;
use super::queue::FinishedSession;
use super::session_keys::installed_packages;
use crate::cache::keys::InstalledPackage;
use crate::cache::store::{EntryId, SaveReport, StoreError};
use crate::cache::uv::UvCachedWheel;
use crate::cache::{PackageSelection, ProgressReporter, SelectedPackage};
use crate::project::ManifestIndex;
use crate::project::dependencies::normalize_name;

impl CacheProvisioner {
    /// Saves the cached directories, at the end of a run.
    pub(crate) fn save_directories(&mut self, progress: &dyn ProgressReporter) {
        let (new, warnings) = self.directories.save(&self.store, progress);
        self.warnings.extend(warnings.into_iter().chain(self.unverifiable_warning()));
        self.mark_used(new);
    }

    /// Saves the packages in the environments of these sessions, their keys, and the cached directories.
    pub(crate) fn save_sessions(&mut self, ids: &[ManifestIndex], progress: &dyn ProgressReporter) {
        let mut warnings = Vec::new();
        for id in ids {
            self.required_packages(*id, &mut warnings);
        }
        self.warnings.append(&mut warnings);
        let ids: Vec<ManifestIndex> = ids.iter().copied().filter(|id| self.is_uv_session(*id)).collect();
        let environments = ids.iter().filter_map(|id| self.environment_dir(*id));
        let installed: BTreeSet<String> = environments
            .flat_map(|directory| installed_packages(&directory))
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        let wheels = self.uv_cache.iter().flat_map(|uv| uv.scan_wheels().0);
        let wheels = wheels.filter(|wheel| installed.contains(&normalize_package(&wheel.name)));
        let to_package = |wheel: UvCachedWheel| SelectedPackage { name: wheel.name, digests: [wheel.digest].into() };
        let selection = PackageSelection::Only(wheels.map(to_package).collect());
        self.save_wheels_and_keys(&ids, &selection, progress);
        self.save_directories(progress);
    }

    /// Saves some wheels that running sessions have downloaded, and returns whether there were any.
    pub(super) fn save_wheel_batch(&mut self, progress: &dyn ProgressReporter) -> bool {
        let Some(uv) = &self.uv_cache else { return false };
        let batch = self.wheel_scanner.next_batch(uv);
        if batch.is_empty() {
            return false;
        }
        let result = self.store.save_scanned_wheels(batch, uv, progress);
        self.record_saved(result);
        true
    }

    /// Saves the downloads and environments of finished sessions.
    pub(super) fn save_finished_sessions(&mut self, finished: &[FinishedSession], progress: &dyn ProgressReporter) {
        let changed: Vec<ManifestIndex> =
            finished.iter().filter(|finished| self.needs_save(finished)).map(|finished| finished.id).collect();
        if !changed.is_empty() {
            self.save_wheels_and_keys(&changed, &PackageSelection::All, progress);
        }
        for finished in finished.iter().filter(|finished| changed.contains(&finished.id)) {
            // A session that was killed may have left a partial install.
            let (Some(install), Some(envdir)) = (finished.install, self.environment_dir(finished.id)) else { continue };
            let Some(_lock) = self.lock_unchanged_environment(&envdir) else { continue };
            let tag = self.bytecode_tag(finished.id);
            let saved = self.environments.save(finished.id, &envdir, &tag, install.commands > 0, &self.store);
            self.warnings.extend(saved.warnings);
            self.mark_used(saved.new_entries);
        }
    }

    /// Locks an environment that a session of this run has used; `None` if another noxide has used it since. On a file
    /// system without locks, the lock is `None`.
    fn lock_unchanged_environment(&self, environment: &Path) -> Option<Option<EnvironmentLock>> {
        let run_id = self.run_id()?;
        match EnvironmentLock::try_acquire(environment) {
            Ok(Some(lock)) => (EnvironmentLock::last_run_id(environment) == run_id).then_some(Some(lock)),
            Ok(None) => None,
            Err(_) => Some(None),
        }
    }

    /// Whether a finished session may have new packages, a new key or entries to upload.
    fn needs_save(&self, finished: &FinishedSession) -> bool {
        let keys = self.session_keys.as_ref();
        let key = keys.and_then(|keys| Some((keys.key_index.as_ref()?, keys.key_inputs_of(finished.id)?)));
        let is_known = key.is_some_and(|(index, session)| index.find_exact(&session.key_inputs).is_some());
        let installed = finished.install.is_some_and(|install| install.commands > 0);
        let is_new = installed || (finished.install.is_some() && !is_known) || self.remote.is_some();
        self.is_uv_session(finished.id) && is_new
    }

    /// Saves new wheels of uv's cache, and the key of each session with the packages of its environment.
    fn save_wheels_and_keys(
        &mut self,
        sessions: &[ManifestIndex],
        selection: &PackageSelection,
        progress: &dyn ProgressReporter,
    ) {
        let Some(uv) = &self.uv_cache else { return };
        let has_unassigned = !self.unassigned_entries.is_empty();
        let result = self.store.save_wheels(selection, uv, progress);
        self.record_saved(result);
        if has_unassigned {
            // Entries saved while sessions ran are not counted against the limits yet.
            self.save_report.add_pruned(self.store.prune_if_over_limits());
        }
        let new_entries = std::mem::take(&mut self.unassigned_entries);
        let digests = self.wheel_digests();
        for id in sessions {
            let environment = self.environment_dir(*id);
            if let Some(remote) = &mut self.remote {
                remote.upload_session(environment.as_deref(), &new_entries, &self.store);
            }
            if let Some(environment) = environment {
                self.save_key(*id, &environment, &digests);
            }
        }
    }

    /// Returns the digests of the wheels in uv's cache, by package and version.
    fn wheel_digests(&self) -> BTreeMap<String, Vec<String>> {
        let mut digests: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for wheel in self.uv_cache.iter().flat_map(|uv| uv.scan_wheels().0) {
            digests.entry(normalize_package(&wheel.name)).or_default().push(wheel.digest.to_string());
        }
        digests
    }

    /// Saves the key of a session with the packages of its environment.
    fn save_key(&mut self, id: ManifestIndex, environment: &Path, digests: &BTreeMap<String, Vec<String>>) {
        let Some(keys) = &self.session_keys else { return };
        let (Some(index), Some(session)) = (&keys.key_index, keys.key_inputs_of(id)) else { return };
        let packages = installed_packages(environment).into_iter().map(|(name, version)| {
            let sha256 = digests.get(&format!("{name} {version}")).cloned().unwrap_or_default();
            InstalledPackage { name, version, sha256 }
        });
        if let Err(error) = index.store_key(&session.key_inputs, packages.collect()) {
            self.add_warning(error.to_string());
        }
    }

    /// Adds the result of a save to the report.
    fn record_saved(&mut self, result: Result<SaveReport, StoreError>) {
        match result {
            Ok(report) => {
                self.unassigned_entries.extend(report.saved.iter().filter_map(|saved| EntryId::parse(&saved.entry)));
                for failure in &report.failures {
                    self.add_warning(format!("{} was not saved to the cache: {}", failure.name, failure.reason));
                }
                self.save_report.merge(report);
            }
            Err(error) => self.add_warning(format!("nothing was saved to the cache: {error}")),
        }
    }

    fn add_warning(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// Normalizes the name in `Foo.Bar 1.0`, as in environments: `foo-bar 1.0`.
fn normalize_package(package: &str) -> String {
    match package.split_once(' ') {
        Some((name, version)) => format!("{} {version}", normalize_name(name)),
        None => package.to_owned(),
    }
}
