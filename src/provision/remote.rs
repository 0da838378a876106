//! Remote cache of one run: downloads what a session needs to the local store, uploads what is new.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::packages::RequiredPackages;
use crate::cache::remote::{
    CacheScope, DownloadPlan, DownloadReport, EnvironmentEntries, IncrementalUpload, PackFrame, RemoteSnapshot,
    RemoteStore, StorePackageIndex, UploadReport, WheelChecksums, WheelChecksumsError,
};
use crate::cache::store::{EntryId, EntryKind, VersionedKey};
use crate::cache::{
    BackendConfigError, PackageSelection, ProgressReporter, SelectedPackage, Store, UvCache, open_backend,
};
use crate::fs::write_atomic;

/// Reasons why a remote cache cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteCacheError {
    /// The setting names no backend.
    #[error(transparent)]
    Backend(#[from] BackendConfigError),
    /// `noxide.sums` cannot be read.
    #[error(transparent)]
    Checksums(#[from] WheelChecksumsError),
}

/// A remote cache and what a run did with it.
pub(super) struct RemoteCache {
    remote: RemoteStore,
    /// Its manifests, once they are read.
    snapshot: Option<RemoteSnapshot>,
    environments: EnvironmentEntries,
    known_packages: Option<StorePackageIndex>,
    upload: IncrementalUpload,
    /// Bytecode, environments and directories that the run used or made: they stay in the remote cache.
    used_entries: BTreeSet<EntryId>,
    pub(super) download_report: DownloadReport,
    /// Filled once the upload is finished.
    pub(super) upload_report: Option<UploadReport>,
    /// Failed downloads and uploads, each once; they do not fail the run.
    pub(super) warnings: Vec<String>,
}

impl RemoteCache {
    /// Opens the remote cache of a setting for the project at `root`; `None` where the setting names none.
    pub(super) fn open(setting: &str, root: &Path) -> Result<Option<Self>, RemoteCacheError> {
        let variables = |name: &str| std::env::var(name).ok();
        let checksums = WheelChecksums::load(root)?;
        let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
        let checkout = fs_err::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
        let scope = CacheScope::from_environment(&platform, &checkout.to_string_lossy(), &variables);
        let signing_key = variables("NOXIDE_CACHE_KEY").filter(|key| !key.is_empty());
        let backend = open_backend(setting, &variables)?;
        Ok(backend.map(|backend| Self {
            remote: RemoteStore { backend, scope, signing_key, checksums },
            snapshot: None,
            environments: EnvironmentEntries::default(),
            known_packages: None,
            upload: IncrementalUpload::default(),
            used_entries: BTreeSet::new(),
            download_report: DownloadReport::default(),
            upload_report: None,
            warnings: Vec::new(),
        }))
    }

    /// Returns its name for people.
    pub(super) fn title(&self) -> String {
        self.remote.backend.display_name()
    }

    /// Returns the number of packages it holds.
    pub(super) fn package_count(&self) -> usize {
        self.snapshot.as_ref().map_or(0, RemoteSnapshot::package_count)
    }

    /// Adds what the remote cache knows of a session, by the name of its environment, and downloads what the local store
    /// lacks: its packages, their bytecode for interpreters of a tag, and these states.
    pub(super) fn download_for_session(
        &mut self,
        environment: &str,
        packages: &mut RequiredPackages,
        (tag, states): (Option<&str>, &[VersionedKey]),
        (store, cache): (&Store, &UvCache),
        progress: &dyn ProgressReporter,
    ) {
        let snapshot = self.load_snapshot();
        match snapshot.environment_packages(environment) {
            Some(held) if packages.required.is_empty() => packages.required = held,
            Some(held) => {
                packages.narrow_to(&held);
                packages.optional.extend(held);
            }
            // Nothing is known of the session: it may need any package.
            None if packages.required.is_empty() && packages.has_installs => {
                packages.optional.extend(snapshot.all_packages());
            }
            None => {}
        }
        if packages.has_installs {
            packages.optional.extend(snapshot.unassigned_packages());
        }
        let selected: Vec<SelectedPackage> = packages.iter_unique().cloned().collect();
        let mut states = states.to_vec();
        states.extend(tag.into_iter().flat_map(|tag| snapshot.bytecode_keys(&selected, tag)));
        let is_stored = |id: &EntryId| store.has_entry(id);
        let buckets = cache.layout().pointer_buckets();
        let checksums = self.remote.checksums.as_ref();
        let selection = PackageSelection::Only(selected);
        let snapshot = self.snapshot.as_ref();
        let planned = snapshot.map(|snapshot| snapshot.select_frames(&selection, &buckets, checksums, &is_stored));
        let (frames, misses) = planned.unwrap_or_default();
        for miss in &misses {
            self.add_warning(format!("{} is not used: {}", miss.name, miss.reason));
        }
        self.download_frames(frames, &states, store, progress);
    }

    /// Downloads the newest of these states that the local store lacks.
    pub(super) fn download_versioned(
        &mut self,
        states: &[VersionedKey],
        store: &Store,
        progress: &dyn ProgressReporter,
    ) {
        if !states.is_empty() {
            self.load_snapshot();
            self.download_frames(Vec::new(), states, store, progress);
        }
    }

    fn download_frames(
        &mut self,
        mut frames: Vec<PackFrame>,
        states: &[VersionedKey],
        store: &Store,
        progress: &dyn ProgressReporter,
    ) {
        // `noxide.sums` lists trees of wheels only; where it exists, nothing else is used.
        if let (Some(snapshot), None) = (&self.snapshot, &self.remote.checksums) {
            frames.extend(snapshot.newest_versions(states, &|name| store.has_version(name)));
        }
        let plan = DownloadPlan::new(frames);
        if plan == DownloadPlan::default() {
            return;
        }
        let report = self.remote.download(&plan, store, progress);
        // One warning for each reason.
        let mut reported: BTreeSet<&str> = BTreeSet::new();
        let first = report.failures.iter().filter(|failed| reported.insert(&failed.reason));
        let mut warnings: Vec<String> =
            first.map(|failed| format!("{} was not downloaded: {}", failed.name, failed.reason)).collect();
        if let Some(more) = report.failures.len().checked_sub(reported.len()).filter(|more| *more > 0) {
            warnings.push(format!("{more} more were not downloaded"));
        }
        warnings.into_iter().for_each(|warning| self.add_warning(warning));
        self.download_report.merge(report);
    }

    /// Reads the manifests, once.
    fn load_snapshot(&mut self) -> &RemoteSnapshot {
        self.snapshot.get_or_insert_with(|| {
            let mut snapshot = self.remote.load_snapshot();
            self.warnings.append(&mut snapshot.warnings);
            snapshot
        })
    }

    fn add_warning(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Marks states that the run used or made.
    pub(super) fn mark_used(&mut self, states: impl IntoIterator<Item = EntryId>) {
        self.used_entries.extend(states);
    }

    /// Uploads what a finished session's environment holds and what is new, as far as it fills a pack.
    pub(super) fn upload_session(&mut self, environment: Option<&Path>, new: &[EntryId], store: &Store) {
        if !new.is_empty() {
            self.known_packages = None;
        }
        let known = self.known_packages.get_or_insert_with(|| StorePackageIndex::from_store(store));
        if let Some(environment) = environment {
            self.environments.scan_environment(environment, known);
        }
        let mut entries = self.environments.all_entries();
        entries.extend(new.iter().chain(self.shareable_entries()).cloned());
        let entries: Vec<EntryId> = entries.into_iter().collect();
        if let Some(snapshot) = &self.snapshot {
            let upload = std::mem::take(&mut self.upload);
            self.upload = upload.add_entries(&self.remote, snapshot, store, &entries, unix_now());
        }
    }

    /// Returns the states that may serve another run.
    fn shareable_entries(&self) -> impl Iterator<Item = &EntryId> {
        let stays = self.snapshot.as_ref().is_none_or(|view| view.checkout_location(&self.remote.scope).is_stable);
        self.used_entries.iter().filter(move |id| stays || id.kind != EntryKind::Venv)
    }

    /// Uploads the rest.
    pub(super) fn finish_upload(&mut self, store: &Store) {
        let Some(snapshot) = &self.snapshot else { return };
        let entries: Vec<EntryId> =
            self.environments.all_entries().into_iter().chain(self.shareable_entries().cloned()).collect();
        let upload = std::mem::take(&mut self.upload);
        let report = upload.finish(&self.remote, snapshot, store, &entries, &self.environments, unix_now());
        self.warnings.extend(report.warnings.iter().map(|warning| format!("not uploaded: {warning}")));
        self.upload_report = Some(report);
    }
}

fn unix_now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Writes the checksums of the packages in these environments to `noxide.sums`.
pub(super) fn write_checksums(root: &Path, environments: &BTreeSet<PathBuf>, store: &Store) -> std::io::Result<()> {
    let known = StorePackageIndex::from_store(store);
    let mut held = EnvironmentEntries::default();
    for environment in environments {
        held.scan_environment(environment, &known);
    }
    let wheels = held.all_entries().into_iter().filter(|id| id.kind == EntryKind::Wheel);
    let metadata: Vec<_> = wheels.filter_map(|id| store.entry_meta(&id).ok()).collect();
    let mut checksums = WheelChecksums::default();
    checksums.add_entries(&metadata);
    write_atomic(&root.join("noxide.sums"), checksums.to_text().as_bytes())
}
