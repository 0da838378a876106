//! Provisioner of a run: restores packages, environments and directories before a session starts.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

use super::directories::{CachedDirectories, is_pip_session};
use super::environments::{EnvironmentCache, OfferedBytecode};
use super::options::{CacheMode, ProvisionOptions};
use super::packages::{RequiredPackages, has_locked_versions, key_change_reason};
use super::queue::{FinishedSession, ProvisionResult, Provisioner};
use super::remote::{RemoteCacheError, RunRemoteCache};
use super::session_keys::SessionKeys;
use super::uv::{UvCacheError, WheelScanner, open_uv_cache};
use crate::cache::remote::WheelChecksums;
use crate::cache::store::{DirectorySpec, EntryId, RestorePlan, RestoreReport, SaveReport, VersionedKey};
use crate::cache::{PackageSelection, ProgressReporter, SelectedPackage, Store, StoreError, StoreOptions, UvCache};
use crate::project::{ManifestIndex, NoxfileManifest};
use crate::text::format_size;

/// Reasons why the packages of a run cannot be provisioned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProvisionError {
    /// The local store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// uv's cache cannot be used.
    #[error(transparent)]
    UvCache(#[from] UvCacheError),
    /// The remote cache cannot be opened.
    #[error(transparent)]
    Remote(#[from] RemoteCacheError),
}

/// Inputs of a provisioner.
#[derive(Clone, Debug)]
pub(crate) struct ProvisionInputs<'a> {
    /// The sessions of the project.
    pub(crate) manifest: &'a NoxfileManifest,
    /// Cache mode and versions of installs.
    pub(crate) options: &'a ProvisionOptions,
    /// Options of the local store.
    pub(crate) store: &'a StoreOptions,
    /// The setting that names the remote cache; with `None` only the local store is used.
    pub(crate) remote: Option<&'a str>,
    /// uv's cache directory; with `None` it is `UV_CACHE_DIR` as the noxfile leaves it, or else the one that uv reports.
    pub(crate) uv_cache: Option<&'a Path>,
    /// The user's cache directory, where keys of earlier installs are stored.
    pub(crate) user_cache_dir: Option<&'a Path>,
    /// Arguments of the sessions.
    pub(crate) posargs: &'a [OsString],
    /// Whether records of past runs are restored and saved too.
    pub(crate) shares_history: bool,
}

/// The provisioner of a run, or the reason why it has none.
pub(crate) struct OpenedProvisioner {
    /// `None` if the sessions have nothing to provision, or the cache is off or fails.
    pub(crate) provisioner: Option<CacheProvisioner>,
    /// A message for the user if the cache fails.
    pub(crate) notice: Option<String>,
}

/// Restores packages from the local store and a remote cache, and saves new ones.
pub(crate) struct CacheProvisioner {
    manifest: NoxfileManifest,
    uses_locked_versions: bool,
    offline_max_age: Option<Duration>,
    user_cache_dir: Option<PathBuf>,
    pub(super) shares_history: bool,
    pub(super) store: Store,
    /// uv's cache; `None` if no session uses uv.
    pub(super) uv_cache: Option<UvCache>,
    pub(super) directories: CachedDirectories,
    /// The directory with records of past runs, once they were restored.
    pub(super) history_directory: Option<DirectorySpec>,
    /// The directory with results of traces, once they were looked for.
    pub(super) trace_directory: Option<DirectorySpec>,
    /// Keys of the sessions added so far; loaded on first use.
    pub(super) session_keys: Option<SessionKeys>,
    pub(super) remote: Option<RunRemoteCache>,
    /// The run's directory; without it sessions share no downloads.
    run_dir: Option<PathBuf>,
    pub(super) environments: EnvironmentCache,
    bytecode: OfferedBytecode,
    /// Packages that were found in uv's cache or restored to it.
    present_packages: BTreeSet<SelectedPackage>,
    restore_report: RestoreReport,
    pub(super) save_report: SaveReport,
    /// Saved entries that are not assigned to a finished session yet.
    pub(super) unassigned_entries: Vec<EntryId>,
    pub(super) wheel_scanner: WheelScanner,
    /// Whether a session may download packages, because some were missing before it started.
    may_download: bool,
    started_at: SystemTime,
    pub(super) warnings: Vec<String>,
}

/// Which stored environments of a session may be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RestoreAge {
    /// None.
    Never,
    /// Those that were built after this time.
    Since(Timestamp),
    /// Those of any age.
    Any,
}

impl CacheProvisioner {
    /// Opens the store and uv's cache for these sessions.
    ///
    /// # Errors
    /// When the cache fails in the mode `require`; in other modes the result has a notice instead.
    pub(crate) fn for_sessions(
        inputs: &ProvisionInputs<'_>,
        ids: &[ManifestIndex],
    ) -> Result<OpenedProvisioner, ProvisionError> {
        let mode = inputs.options.mode;
        if mode == CacheMode::Off || !ids.iter().any(|id| inputs.needs_provisioning(*id)) {
            return Ok(OpenedProvisioner { provisioner: None, notice: None });
        }
        match Self::open(inputs) {
            Ok(mut provisioner) => match provisioner.warnings.pop() {
                Some(warning) if mode == CacheMode::Require => Err(RemoteCacheError::NotShared(warning).into()),
                notice => Ok(OpenedProvisioner { provisioner: Some(provisioner), notice }),
            },
            Err(error) if mode == CacheMode::Require => Err(error),
            Err(error) => {
                Ok(OpenedProvisioner { provisioner: None, notice: Some(format!("the cache is not used: {error}")) })
            }
        }
    }

    /// Opens the store and uv's cache in any mode.
    ///
    /// # Errors
    /// When the store, uv's cache or the remote cache cannot be opened.
    pub(crate) fn open(inputs: &ProvisionInputs<'_>) -> Result<Self, ProvisionError> {
        let manifest = inputs.manifest;
        let opened = inputs.remote.map(|setting| RunRemoteCache::open(setting, &manifest.root)).transpose()?;
        let (remote, warning) = opened.map(|opened| (opened.remote, opened.warning)).unwrap_or_default();
        // With a malformed file, nothing would be checked.
        let checksums = WheelChecksums::load(&manifest.root).map_err(RemoteCacheError::from)?;
        let mut store = Store::open(&StoreOptions { has_checksums: checksums.is_some(), ..inputs.store.clone() })?;
        if let Some(checksums) = checksums {
            store = store.with_expected_trees(checksums.tree_digests());
        }
        let uses_uv = manifest.sessions.iter().any(|session| session.backend == "uv");
        let uv_cache = uses_uv.then(|| open_uv_cache(manifest, &store, inputs.uv_cache)).transpose()?;
        Ok(Self {
            manifest: manifest.clone(),
            uses_locked_versions: inputs.options.uses_locked_versions,
            offline_max_age: inputs.options.offline_max_age,
            user_cache_dir: inputs.user_cache_dir.map(Path::to_path_buf),
            shares_history: inputs.shares_history,
            store,
            uv_cache,
            directories: CachedDirectories::default(),
            history_directory: None,
            trace_directory: None,
            session_keys: None,
            remote,
            run_dir: None,
            environments: EnvironmentCache::new(manifest.no_install, inputs.posargs),
            bytecode: OfferedBytecode::default(),
            present_packages: BTreeSet::new(),
            restore_report: RestoreReport::default(),
            save_report: SaveReport::default(),
            unassigned_entries: Vec::new(),
            wheel_scanner: WheelScanner::default(),
            may_download: false,
            started_at: SystemTime::now(),
            warnings: warning.into_iter().collect(),
        })
    }

    /// Sets the run's directory, where sessions share downloads and bytecode is published.
    #[must_use]
    pub(crate) fn with_run_dir(self, run_dir: &Path) -> Self {
        let bytecode = OfferedBytecode::in_directory(run_dir.join("bytecode"));
        Self { run_dir: Some(run_dir.to_path_buf()), bytecode, ..self }
    }

    /// Returns the identifier of the run, which is the name of its directory.
    pub(super) fn run_id(&self) -> Option<&str> {
        self.run_dir.as_deref()?.file_name()?.to_str()
    }

    /// Returns what was restored so far.
    pub(crate) fn restore_report(&self) -> &RestoreReport {
        &self.restore_report
    }

    /// Returns what was saved so far.
    pub(crate) fn save_report(&self) -> &SaveReport {
        &self.save_report
    }

    /// Returns the warnings since the last call.
    pub(crate) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Plans the restore of all packages that these sessions need.
    pub(crate) fn plan_restore(&mut self, ids: &[ManifestIndex]) -> RestorePlan {
        let mut packages: BTreeSet<SelectedPackage> = BTreeSet::new();
        for id in ids {
            let Some((required, _)) = self.required_packages(*id, &mut Vec::new()) else { continue };
            packages.extend(required.iter_unique().cloned());
        }
        let selection = PackageSelection::Only(packages.into_iter().collect());
        self.uv_cache.as_ref().map(|uv| self.store.plan_restore(&selection, uv)).unwrap_or_default()
    }

    /// Returns a warning if sessions downloaded packages that cannot be saved, because uv recorded no digest of them.
    pub(super) fn unverifiable_warning(&self) -> Option<String> {
        let uv = self.uv_cache.as_ref().filter(|_| self.may_download && !self.uses_locked_versions)?;
        let count = Some(uv.count_wheels_without_digest(self.started_at)).filter(|count| *count > 0)?;
        let keys = self.session_keys.as_ref();
        let version = keys.and_then(|keys| keys.key_context.uv_version.as_deref()).unwrap_or_default();
        Some(format!(
            "{} downloaded by sessions cannot be saved: uv {version} records digests only of packages it verifies; use \
             `--locked` where there is a uv.lock, or update uv to 0.11.19 or later",
            crate::text::pluralize(count, "package")
        ))
    }

    /// Whether a session installs by uv and uv's cache is open.
    pub(super) fn is_uv_session(&self, id: ManifestIndex) -> bool {
        self.uv_cache.is_some() && self.manifest.sessions[id.0].backend == "uv"
    }

    /// Returns the directory of the project.
    pub(super) fn root(&self) -> &Path {
        &self.manifest.root
    }

    /// Returns the environments of all sessions.
    pub(super) fn environment_dirs(&self) -> BTreeSet<PathBuf> {
        (0..self.manifest.sessions.len()).filter_map(|index| self.environment_dir(ManifestIndex(index))).collect()
    }

    /// Returns the environment of a session.
    pub(super) fn environment_dir(&self, id: ManifestIndex) -> Option<PathBuf> {
        self.manifest.sessions[id.0].envdir.as_deref().map(|directory| self.manifest.root.join(directory))
    }

    /// Marks entries that the run used or created, so that they are stored in the remote cache.
    pub(super) fn mark_used(&mut self, entries: Vec<EntryId>) {
        if let Some(remote) = &mut self.remote {
            remote.mark_used(entries);
        }
    }

    /// Returns the session keys; loads them on first use and adds a notice for each problem.
    pub(super) fn load_session_keys(&mut self, notices: &mut Vec<String>) -> &mut SessionKeys {
        let (manifest, uses_locked_versions, cache_dir) =
            (&self.manifest, self.uses_locked_versions, self.user_cache_dir.as_deref());
        self.session_keys.get_or_insert_with(|| {
            let keys = SessionKeys::new(manifest, uses_locked_versions, cache_dir, &[]);
            notices.extend(keys.warnings.iter().map(|warning| format!("cache: {warning}")));
            keys
        })
    }

    /// Returns the packages that a uv session needs, and the reason why its key differs from the last one; `None` for
    /// other sessions.
    pub(super) fn required_packages(
        &mut self,
        id: ManifestIndex,
        notices: &mut Vec<String>,
    ) -> Option<(RequiredPackages, String)> {
        let is_uv_session = self.is_uv_session(id);
        self.load_session_keys(notices);
        let keys = self.session_keys.as_mut()?;
        self.directories.resolve_directories(&self.manifest, keys, &self.store);
        if !is_uv_session {
            return None;
        }
        keys.add_session(&self.manifest, id);
        let inputs = keys.key_inputs_of(id)?;
        Some((RequiredPackages::for_session(keys, inputs, &self.manifest), key_change_reason(keys, inputs)))
    }

    /// Returns the name of a session's environment in the remote cache.
    fn environment_name(&self, id: ManifestIndex) -> String {
        let session = &self.manifest.sessions[id.0];
        let directory = session.envdir.as_deref().and_then(|directory| Path::new(directory).file_name());
        directory.map_or_else(|| session.name.as_str().to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// Restores the cached directories, on the first call, and returns warnings.
    fn restore_directories(&mut self, progress: &dyn ProgressReporter) -> Vec<String> {
        if let Some(remote) = &mut self.remote {
            remote.download_versioned(&self.directories.pending_keys(), &self.store, progress);
        }
        let (used, warnings) = self.directories.restore(&self.store, progress);
        self.mark_used(used);
        warnings
    }

    /// Downloads a session's packages, bytecode and environment from the remote cache.
    fn download_for_session(
        &mut self,
        id: ManifestIndex,
        packages: &mut RequiredPackages,
        tag: &str,
        progress: &dyn ProgressReporter,
    ) {
        let environment = self.environment_name(id);
        let keys: Vec<VersionedKey> = self.environment_key(id).into_iter().collect();
        if let (Some(remote), Some(uv)) = (&mut self.remote, &self.uv_cache) {
            let tag = Some(tag).filter(|_| self.store.options().bytecode);
            remote.download_for_session(&environment, packages, (tag, &keys), (&self.store, uv), progress);
        }
    }

    /// Restores the packages that are not in `present_packages`.
    fn restore_packages(&mut self, packages: &RequiredPackages, progress: &dyn ProgressReporter) -> RestoreReport {
        let missing: Vec<SelectedPackage> =
            packages.iter_unique().filter(|package| !self.present_packages.contains(package)).cloned().collect();
        let Some(uv) = self.uv_cache.as_ref().filter(|_| !missing.is_empty()) else { return RestoreReport::default() };
        let report = self.store.restore_wheels(&PackageSelection::Only(missing.clone()), uv, progress);
        let missed: BTreeSet<&str> = report.misses.iter().map(|miss| miss.name.as_str()).collect();
        self.present_packages.extend(missing.into_iter().filter(|package| !missed.contains(package.name.as_str())));
        self.restore_report.merge(report.clone());
        report
    }

    /// Returns which stored environments of a session may be restored, by their age.
    fn restore_age(&self, id: ManifestIndex) -> RestoreAge {
        // Without a lock file, nox would build the environment again and install new releases. A stored environment may
        // therefore be at most as old as the index responses that the user accepts.
        let Some(keys) = self.session_keys.as_ref() else { return RestoreAge::Never };
        match self.offline_max_age {
            _ if has_locked_versions(keys, &self.manifest.sessions[id.0]) => RestoreAge::Any,
            Some(age) => Timestamp::now().checked_sub(age).map_or(RestoreAge::Never, RestoreAge::Since),
            None => RestoreAge::Never,
        }
    }

    /// Returns the store key of a session's environment, if it may be restored.
    fn environment_key(&self, id: ManifestIndex) -> Option<VersionedKey> {
        if self.restore_age(id) == RestoreAge::Never {
            return None;
        }
        self.environments.environment_key(&self.manifest.sessions[id.0], self.session_keys.as_ref()?.key_inputs_of(id)?)
    }

    /// Returns the bytecode tag of a session's interpreter; empty if it is unknown.
    pub(super) fn bytecode_tag(&self, id: ManifestIndex) -> String {
        self.session_keys.as_ref().map(|keys| keys.bytecode_tag(id)).unwrap_or_default()
    }

    /// Restores a session's environment if it is missing and nox reuses environments of this session; returns its size.
    fn restore_environment(
        &mut self,
        id: ManifestIndex,
        progress: &dyn ProgressReporter,
        notices: &mut Vec<String>,
    ) -> u64 {
        let since = match self.restore_age(id) {
            RestoreAge::Never => return 0,
            RestoreAge::Any => None,
            RestoreAge::Since(time) => Some(time),
        };
        let Some(inputs) = self.session_keys.as_ref().and_then(|keys| keys.key_inputs_of(id)) else { return 0 };
        let session = &self.manifest.sessions[id.0];
        let name = &session.name;
        match self.environments.restore((session, inputs), since, &self.store, progress) {
            Ok(None) => 0,
            Ok(Some(restored)) => {
                let (files, bytes) = (restored.files, restored.bytes);
                notices.push(format!("cache: environment of {name} restored, {files} files, {}", format_size(bytes)));
                self.mark_used(EntryId::parse(&restored.entry).into_iter().collect());
                bytes
            }
            Err(miss) => {
                notices.push(format!("cache: environment of {name} not restored: {}", miss.reason));
                0
            }
        }
    }

    /// Returns the variables that tell the host which directories the sessions of this run share.
    fn session_env(
        &mut self,
        packages: &RequiredPackages,
        bytecode_tag: &str,
        may_download: bool,
    ) -> Vec<(String, String)> {
        let below_run = |name: &str| self.run_dir.as_ref().map(|run_dir| run_dir.join(name).display().to_string());
        let download_locks_dir =
            below_run("download-locks").filter(|_| may_download).map(|dir| ("NOXIDE_DOWNLOAD_LOCKS".to_owned(), dir));
        let shared_installs_dir = below_run("shared-installs").map(|dir| ("NOXIDE_SHARED_INSTALLS".to_owned(), dir));
        let (bytecode_dir, used) = self.bytecode.offer_packages(packages.iter_unique(), bytecode_tag, &self.store);
        self.mark_used(used);
        download_locks_dir.into_iter().chain(shared_installs_dir).chain(bytecode_dir).collect()
    }
}

impl Provisioner for CacheProvisioner {
    fn provision_session(&mut self, id: ManifestIndex, progress: &dyn ProgressReporter) -> ProvisionResult {
        let started_at = Instant::now();
        let mut notices = Vec::new();
        let required = self.required_packages(id, &mut notices);
        notices.extend(self.restore_directories(progress));
        let Some((mut packages, key_change)) = required else {
            return ProvisionResult { notices, ..ProvisionResult::default() };
        };
        let tag = self.bytecode_tag(id);
        self.download_for_session(id, &mut packages, &tag, progress);
        if !packages.has_installs && packages.required.is_empty() {
            return ProvisionResult { notices, ..ProvisionResult::default() };
        }
        let report = self.restore_packages(&packages, progress);
        let damaged = report.damaged.iter();
        notices.extend(
            damaged.map(|entry| format!("cache: {} is damaged and was quarantined: {}", entry.name, entry.damage)),
        );
        let environment_bytes = self.restore_environment(id, progress, &mut notices);
        let mut cache = packages.cache_stats(&report, started_at.elapsed().as_secs_f64(), key_change);
        cache.restored_bytes += environment_bytes;
        let may_download = cache.misses > 0 || packages.required.is_empty();
        self.may_download |= may_download;
        let env = self.session_env(&packages, &tag, may_download);
        ProvisionResult { cache: Some(cache), env, notices }
    }

    fn save_while_idle(&mut self, progress: &dyn ProgressReporter) -> Option<Duration> {
        self.uv_cache.as_ref().filter(|_| self.may_download)?;
        let saved_any = self.save_wheel_batch(progress);
        Some(if saved_any { Duration::from_millis(1) } else { Duration::from_secs(1) })
    }

    fn save_finished(&mut self, finished: &[FinishedSession], progress: &dyn ProgressReporter) {
        self.save_finished_sessions(finished, progress);
    }
}

impl ProvisionInputs<'_> {
    /// Whether a session has packages, an environment or directories to restore or save.
    fn needs_provisioning(&self, id: ManifestIndex) -> bool {
        let session = &self.manifest.sessions[id.0];
        // A session may install packages by code that noxide cannot analyze; a remote cache knows what its environment
        // had.
        let by_uv = session.backend == "uv" && (self.remote.is_some() || !session.installs.is_empty());
        let has_directories = session.backend != "none" && !self.store.directories.is_empty();
        by_uv || is_pip_session(self.manifest, id) || has_directories
    }
}
