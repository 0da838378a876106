//! Remote cache of a run: downloads entries that a session needs to the local store, and uploads new ones.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::packages::RequiredPackages;
use crate::cache::remote::{
    CacheScopes, DownloadPlan, DownloadReport, EnvironmentEntries, IncrementalUpload, PackFrame, RemoteCache,
    RemoteSnapshot, StorePackageIndex, UploadReport, WheelChecksums, WheelChecksumsError,
};
use crate::cache::store::{EntryId, EntryKind, EntryOrigin, VersionedKey};
use crate::cache::{
    BackendConfigError, PackageSelection, ProgressReporter, SelectedPackage, Store, UvCache, open_backend,
};
use crate::fs::write_atomic;
use crate::project::environment_variable;

/// Reasons why a remote cache cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteCacheError {
    /// The setting names no backend.
    #[error(transparent)]
    Backend(#[from] BackendConfigError),
    /// `noxide.sums` cannot be read.
    #[error(transparent)]
    Checksums(#[from] WheelChecksumsError),
    /// The run may not share it.
    #[error("{0}")]
    NotShared(String),
}

/// A remote cache that was opened.
pub(super) struct OpenedRemoteCache {
    /// `None` if the setting names none, or it is not used.
    pub(super) remote: Option<RunRemoteCache>,
    /// Why it is not used.
    pub(super) warning: Option<String>,
}

/// A remote cache, and the downloads and uploads of a run.
pub(super) struct RunRemoteCache {
    remote: RemoteCache,
    /// Its manifests, once they are loaded.
    snapshot: Option<RemoteSnapshot>,
    environments: EnvironmentEntries,
    known_packages: Option<StorePackageIndex>,
    upload: IncrementalUpload,
    /// Bytecode, environments and directories that the run used or created: they stay in the remote cache.
    used_entries: BTreeSet<EntryId>,
    pub(super) download_report: DownloadReport,
    /// Filled once the upload is finished.
    pub(super) upload_report: Option<UploadReport>,
    /// Failed downloads and uploads, each once; they do not fail the run.
    pub(super) warnings: Vec<String>,
}

impl RunRemoteCache {
    /// Opens the remote cache of a setting for the project at `root`.
    pub(super) fn open(setting: &str, root: &Path) -> Result<OpenedRemoteCache, RemoteCacheError> {
        let variables = |name: &str| environment_variable(name);
        let checksums = WheelChecksums::load(root)?;
        let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
        let checkout = fs_err::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
        let scopes = CacheScopes::from_environment(&platform, &checkout.to_string_lossy(), &variables);
        let signing_key = variables("NOXIDE_CACHE_SIGNING_KEY").filter(|key| !key.is_empty());
        let backend = open_backend(setting, &variables)?;
        if let Some(backend) = backend.as_ref().filter(|_| !scopes.may_be_shared()) {
            let warning = format!(
                "{} is not used: this CI service does not tell noxide which branch or pull request it runs, and all of them \
                 would share what it contains; set GITHUB_REPOSITORY and GITHUB_REF (in a \
                 container that a step starts, pass every GITHUB_ variable), or use `--remote off`",
                backend.display_name()
            );
            return Ok(OpenedRemoteCache { remote: None, warning: Some(warning) });
        }
        let remote = backend.map(|backend| Self {
            remote: RemoteCache { backend, scopes, signing_key, checksums },
            snapshot: None,
            environments: EnvironmentEntries::default(),
            known_packages: None,
            upload: IncrementalUpload::default(),
            used_entries: BTreeSet::new(),
            download_report: DownloadReport::default(),
            upload_report: None,
            warnings: Vec::new(),
        });
        Ok(OpenedRemoteCache { remote, warning: None })
    }

    /// Returns its display name.
    pub(super) fn title(&self) -> String {
        self.remote.backend.display_name()
    }

    /// Returns the number of packages in it.
    pub(super) fn package_count(&self) -> usize {
        self.snapshot.as_ref().map_or(0, RemoteSnapshot::package_count)
    }

    /// Adds the packages that the remote cache lists for a session's environment to `packages`. Then downloads what the
    /// local store lacks: the packages, their bytecode for interpreters with this tag, and the newest entry of each
    /// key.
    pub(super) fn download_for_session(
        &mut self,
        environment: &str,
        packages: &mut RequiredPackages,
        (bytecode_tag, keys): (Option<&str>, &[VersionedKey]),
        (store, cache): (&Store, &UvCache),
        progress: &dyn ProgressReporter,
    ) {
        let snapshot = self.load_snapshot();
        match snapshot.environment_packages(environment) {
            Some(installed) if packages.required.is_empty() => packages.required = installed,
            Some(installed) => {
                packages.narrow_to(&installed);
                packages.optional.extend(installed);
            }
            // The environment is unknown: the session may need any package.
            None if packages.required.is_empty() && packages.has_installs => {
                packages.optional.extend(snapshot.all_packages());
            }
            None => {}
        }
        if packages.has_installs {
            packages.optional.extend(snapshot.unassigned_packages());
        }
        let selected: Vec<SelectedPackage> = packages.iter_unique().cloned().collect();
        let mut keys = keys.to_vec();
        keys.extend(bytecode_tag.into_iter().flat_map(|bytecode_tag| snapshot.bytecode_keys(&selected, bytecode_tag)));
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
        self.download_frames(frames, &keys, store, progress);
    }

    /// Downloads the newest entry of each key, unless the local store has it.
    pub(super) fn download_versioned(&mut self, keys: &[VersionedKey], store: &Store, progress: &dyn ProgressReporter) {
        if !keys.is_empty() {
            self.load_snapshot();
            self.download_frames(Vec::new(), keys, store, progress);
        }
    }

    fn download_frames(
        &mut self,
        mut frames: Vec<PackFrame>,
        keys: &[VersionedKey],
        store: &Store,
        progress: &dyn ProgressReporter,
    ) {
        // `noxide.sums` has checksums of wheels only: if it exists, no other entries are used.
        if let (Some(snapshot), None) = (&self.snapshot, &self.remote.checksums) {
            frames.extend(snapshot.newest_versions(keys, &|name| store.has_version(name)));
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

    /// Loads the manifests, on the first call.
    fn load_snapshot(&mut self) -> &RemoteSnapshot {
        self.snapshot.get_or_insert_with(|| {
            let mut snapshot = self.remote.load_snapshot();
            self.warnings.append(&mut snapshot.warnings);
            self.warnings.extend(explain_empty_scope(&self.remote, &snapshot));
            snapshot
        })
    }

    fn add_warning(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Marks entries that the run used or created.
    pub(super) fn mark_used(&mut self, entries: impl IntoIterator<Item = EntryId>) {
        self.used_entries.extend(entries);
    }

    /// Adds the packages of a finished session's environment and new entries to the upload, which uploads each full
    /// pack.
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

    /// Returns the used entries that other runs may need. An environment contains its path: another run can use it only if
    /// its checkout has the same path.
    fn shareable_entries(&self) -> impl Iterator<Item = &EntryId> {
        let keeps_environments =
            self.snapshot.as_ref().is_none_or(|snapshot| snapshot.checkout_location(&self.remote.scopes).is_stable);
        self.used_entries.iter().filter(move |id| keeps_environments || id.kind != EntryKind::Environment)
    }

    /// Uploads the remaining entries.
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

/// Says why a run outside CI finds nothing in a remote cache that other directories have filled.
fn explain_empty_scope(remote: &RemoteCache, snapshot: &RemoteSnapshot) -> Option<String> {
    let prefix = remote.scopes.local_checkouts_prefix().filter(|_| snapshot.is_empty())?;
    let others = remote.backend.list_objects(prefix).ok()?;
    others.iter().any(|object| !remote.scopes.has_key_prefix(&object.key)).then(|| {
        "nothing is restored: this remote cache was filled from other directories, and outside CI each directory reads \
         only its own part; to share them, set GITHUB_REPOSITORY to one name in all of them"
            .to_owned()
    })
}

fn unix_now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Writes the checksums of the packages in these environments to `noxide.sums`. Returns the names of those that nothing but
/// a remote cache vouches for.
pub(super) fn write_checksums(
    root: &Path,
    environments: &BTreeSet<PathBuf>,
    store: &Store,
) -> std::io::Result<Vec<String>> {
    let known = StorePackageIndex::from_store(store);
    let mut entries = EnvironmentEntries::default();
    for environment in environments {
        entries.scan_environment(environment, &known);
    }
    let wheels = entries.all_entries().into_iter().filter(|id| id.kind == EntryKind::Wheel);
    let metadata: Vec<_> = wheels.filter_map(|id| store.entry_meta(&id).ok()).collect();
    let mut checksums = WheelChecksums::default();
    checksums.add_entries(&metadata);
    write_atomic(&root.join("noxide.sums"), checksums.to_text().as_bytes())?;
    let is_signed = store.options().signer.is_some();
    let from_remote = metadata.iter().filter(|meta| meta.origin == EntryOrigin::Remote && !is_signed);
    Ok(from_remote.map(|meta| meta.name.clone()).collect())
}
