//! The store elsewhere as one run uses it: what a session needs is brought into the store here, what is new is sent.

use std::collections::BTreeSet;
use std::path::Path;

use super::required_packages::RequiredPackages;
use crate::cache::remote::{
    CacheScope, DownloadPlan, DownloadReport, EnvironmentEntries, IncrementalUpload, PackFrame, RemoteSnapshot,
    RemoteStore, StorePackageIndex, UploadReport, WheelChecksums,
};
use crate::cache::store::{EntryId, EntryKind, VersionedKey};
use crate::cache::{PackageSelection, ProgressReporter, SelectedPackage, Store, UvCache, open_backend};
use crate::fs::write_atomic;

/// A store elsewhere, and what a run did with it.
pub(super) struct RemoteCache {
    remote: RemoteStore,
    /// What its manifests say; read when first asked for.
    snapshot: Option<RemoteSnapshot>,
    environments: EnvironmentEntries,
    known_packages: Option<StorePackageIndex>,
    upload: IncrementalUpload,
    /// Bytecode, environments and folders that the run had or made: those stay wanted there.
    used_entries: BTreeSet<EntryId>,
    /// What was brought, of all sessions.
    pub(super) download_report: DownloadReport,
    /// What was sent, once the run is over.
    pub(super) upload_report: Option<UploadReport>,
    /// What went wrong, in sentences, each once; none of it fails the run.
    pub(super) warnings: Vec<String>,
}

impl RemoteCache {
    /// Opens what a setting names for the project at `root`; none where it names nothing.
    ///
    /// # Errors
    /// In words, why nothing elsewhere is used.
    pub(super) fn open(setting: &str, root: &Path) -> Result<Option<Self>, String> {
        let variables = |name: &str| std::env::var(name).ok();
        let sums = WheelChecksums::load(root).map_err(|error| error.to_string())?;
        let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
        let here = fs_err::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
        let scope = CacheScope::from_environment(&platform, &here.to_string_lossy(), &variables);
        let key = variables("NOXIDE_CACHE_KEY").filter(|key| !key.is_empty());
        let backend = open_backend(setting, &variables).map_err(|error| error.to_string())?;
        Ok(backend.map(|backend| Self {
            remote: RemoteStore { backend, scope, signing_key: key, checksums: sums },
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

    /// What it is called.
    pub(super) fn title(&self) -> String {
        self.remote.backend.display_name()
    }

    /// How many entries it has.
    pub(super) fn len(&self) -> usize {
        self.snapshot.as_ref().map_or(0, RemoteSnapshot::package_count)
    }

    /// Adds what is known of a session there, by the name of its environment, and brings what the store here lacks: its
    /// packages, their bytecode for interpreters of a tag, and these states.
    pub(super) fn download_for_session(
        &mut self,
        environment: &str,
        wants: &mut RequiredPackages,
        (tag, states): (Option<&str>, &[VersionedKey]),
        (store, cache): (&Store, &UvCache),
        progress: &dyn ProgressReporter,
    ) {
        let view = self.load_snapshot();
        match view.environment_packages(environment) {
            Some(held) if wants.required.is_empty() => wants.required = held,
            Some(held) => {
                wants.narrow_to(&held);
                wants.optional.extend(held);
            }
            // Nobody knows what it needs: anything may be it.
            None if wants.required.is_empty() && wants.has_installs => wants.optional.extend(view.all_packages()),
            None => {}
        }
        if wants.has_installs {
            wants.optional.extend(view.unassigned_packages());
        }
        let wanted: Vec<SelectedPackage> = wants.iter_unique().cloned().collect();
        let mut states = states.to_vec();
        states.extend(tag.into_iter().flat_map(|tag| view.bytecode_states(&wanted, tag)));
        let has = |id: &EntryId| store.has_entry(id);
        let buckets = cache.layout().pointer_buckets();
        let sums = self.remote.checksums.as_ref();
        let view = self.snapshot.as_ref();
        let planned = view.map(|view| view.select_frames(&PackageSelection::Only(wanted), &buckets, sums, &has));
        let (frames, misses) = planned.unwrap_or_default();
        for miss in &misses {
            self.add_warning(format!("{} is not used: {}", miss.name, miss.reason));
        }
        self.download_frames(frames, &states, store, progress);
    }

    /// Brings the newest of these states that the store here lacks.
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
        // Nothing but a wheel's tree can be in `noxide.sums`; and with it, nothing else is used.
        if let (Some(view), None) = (&self.snapshot, &self.remote.checksums) {
            frames.extend(view.newest_states(states, &|name| store.has_version(name)));
        }
        let plan = DownloadPlan::new(frames);
        if plan == DownloadPlan::default() {
            return;
        }
        let brought = self.remote.download(&plan, store, progress);
        let mut told: BTreeSet<&str> = BTreeSet::new();
        let first = brought.failures.iter().filter(|failed| told.insert(&failed.reason));
        let mut troubles: Vec<String> =
            first.map(|failed| format!("{} was not brought: {}", failed.name, failed.reason)).collect();
        if let Some(more) = brought.failures.len().checked_sub(told.len()).filter(|more| *more > 0) {
            troubles.push(format!("{more} more were not brought"));
        }
        troubles.into_iter().for_each(|trouble| self.add_warning(trouble));
        self.download_report.merge(brought);
    }

    /// What the manifests there say, read once.
    fn load_snapshot(&mut self) -> &RemoteSnapshot {
        self.snapshot.get_or_insert_with(|| {
            let mut view = self.remote.load_snapshot();
            self.warnings.append(&mut view.warnings);
            view
        })
    }

    fn add_warning(&mut self, trouble: String) {
        if !self.warnings.contains(&trouble) {
            self.warnings.push(trouble);
        }
    }

    /// The run has had, or made, these states.
    pub(super) fn mark_used(&mut self, states: impl IntoIterator<Item = EntryId>) {
        self.used_entries.extend(states);
    }

    /// A session is over: what its environment holds and what is new will be sent, much of it at once.
    pub(super) fn upload_session(&mut self, environment: Option<&Path>, new: &[EntryId], store: &Store) {
        if !new.is_empty() {
            self.known_packages = None;
        }
        let known = self.known_packages.get_or_insert_with(|| StorePackageIndex::from_store(store));
        if let Some(environment) = environment {
            self.environments.scan_environment(environment, known);
        }
        let mut wanted = self.environments.all_entries();
        wanted.extend(new.iter().chain(self.shareable_entries()).cloned());
        let wanted: Vec<EntryId> = wanted.into_iter().collect();
        if let Some(view) = &self.snapshot {
            self.upload = std::mem::take(&mut self.upload).add_entries(&self.remote, view, store, &wanted, unix_now());
        }
    }

    /// The states that may serve another run.
    fn shareable_entries(&self) -> impl Iterator<Item = &EntryId> {
        let stays = self.snapshot.as_ref().is_none_or(|view| view.checkout_location(&self.remote.scope).is_stable);
        self.used_entries.iter().filter(move |id| stays || id.kind != EntryKind::Venv)
    }

    /// Sends the rest.
    pub(super) fn finish_upload(&mut self, store: &Store) {
        let Some(view) = &self.snapshot else { return };
        let wanted: Vec<EntryId> =
            self.environments.all_entries().into_iter().chain(self.shareable_entries().cloned()).collect();
        let report =
            std::mem::take(&mut self.upload).finish(&self.remote, view, store, &wanted, &self.environments, unix_now());
        self.warnings.extend(report.warnings.iter().map(|trouble| format!("not sent: {trouble}")));
        self.upload_report = Some(report);
    }
}

fn unix_now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Writes what the packages of these environments unpack to into `noxide.sums`.
pub(super) fn write_checksums(
    root: &Path,
    environments: &BTreeSet<std::path::PathBuf>,
    store: &Store,
) -> Option<String> {
    let known = StorePackageIndex::from_store(store);
    let mut held = EnvironmentEntries::default();
    for environment in environments {
        held.scan_environment(environment, &known);
    }
    let wheels = held.all_entries().into_iter().filter(|id| id.kind == EntryKind::Wheel);
    let heads: Vec<_> = wheels.filter_map(|id| store.entry_meta(&id).ok()).collect();
    let mut sums = WheelChecksums::default();
    sums.add_entries(&heads);
    write_atomic(&root.join("noxide.sums"), sums.to_text().as_bytes()).err().map(|error| error.to_string())
}
