//! Dependencies that are there before a session asks for them: restored before it starts, kept when it is over.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

use super::bytecode::PublishedBytecode;
use super::cached_folders::{CachedFolders, is_pip_session};
use super::remote_cache::{RemoteCache, write_checksums};
use super::required_packages::{RequiredPackages, is_locked, key_change_reason};
use super::venv_cache::VenvCache;
use super::wheel_scanner::WheelScanner;
use crate::cache::store::{EntryId, FolderSpec, RestorePlan, RestoreReport, SaveReport, VersionedKey};
use crate::cache::uv::UvLayoutSupport;
use crate::cache::{PackageSelection, ProgressReporter, SelectedPackage, Store, Uv, UvCache};
use crate::cli::error::CliError;
use crate::cli::loaded_project::LoadedProject;
use crate::cli::lock_constraints::find_uv;
use crate::cli::session_keys::SessionKeys;
use crate::project::{NoxfileManifest, SessionId};
use crate::run::{CacheMode, FinishedSession, ProvisionResult, Provisioner};
use crate::text::{format_size, pluralize};

/// What a run's dependencies come from and go to.
pub(in crate::cli) struct CacheProvisioner {
    pub(super) manifest: NoxfileManifest,
    locked: bool,
    pub(super) store: Store,
    /// uv's cache; none where no session wants one.
    pub(super) uv_cache: Option<UvCache>,
    pub(super) folders: CachedFolders,
    /// Records of past runs, where a checkout without any gets those of others.
    pub(super) history_folder: Option<FolderSpec>,
    /// The sessions so far with the keys of what they install; read when first asked for.
    pub(super) session_keys: Option<SessionKeys>,
    pub(super) remote: Option<RemoteCache>,
    /// Where sessions meet that fill the cache.
    fill_dir: Option<PathBuf>,
    max_age: Option<Duration>,
    pub(super) venvs: VenvCache,
    bytecode: PublishedBytecode,
    /// What was asked for and is there.
    present_packages: BTreeSet<SelectedPackage>,
    /// What was restored, of all sessions.
    pub(in crate::cli) restore_report: RestoreReport,
    /// What is new in the store, of all sessions.
    pub(in crate::cli) save_report: SaveReport,
    /// Of that, what no session was over to answer for yet.
    pub(super) unassigned_entries: Vec<EntryId>,
    /// Wheels that sessions fetched so far.
    pub(super) wheel_scanner: WheelScanner,
    /// Whether a session fetches.
    has_fetches: bool,
    started_at: SystemTime,
    /// What went wrong while keeping, in sentences.
    pub(in crate::cli) warnings: Vec<String>,
}

impl CacheProvisioner {
    /// Opens the store and uv's cache for these sessions. None where there is nothing to do, or the cache is not used.
    ///
    /// # Errors
    /// Only with `--cache require`; else a cache that fails is a notice.
    pub(in crate::cli) fn for_sessions(
        opened: &mut LoadedProject,
        ids: &[SessionId],
        elsewhere: Option<&str>,
    ) -> Result<Option<Self>, CliError> {
        let mode = opened.options.cache.mode;
        // A session without installs to be seen may make them all the same; only one elsewhere knows what it held.
        let wants = |id: &SessionId| {
            let session = &opened.manifest.sessions[id.0];
            let uv = session.backend == "uv" && (elsewhere.is_some() || !session.installs.is_empty());
            uv || is_pip_session(&opened.manifest, *id)
                || (session.backend != "none" && !opened.store_options.folders.is_empty())
        };
        if mode == CacheMode::Off || !ids.iter().any(wants) {
            return Ok(None);
        }
        match Self::open(opened, None, elsewhere) {
            Ok(provision) => Ok(Some(provision)),
            Err(why) if mode == CacheMode::Require => Err(CliError::Cache(why)),
            Err(why) => {
                opened.notices.push(format!("the cache is not used: {why}"));
                Ok(None)
            }
        }
    }

    /// Opens them, whatever settings say of their use; `uv_cache` is another uv cache than that of the sessions.
    ///
    /// # Errors
    /// In words, why they cannot be had.
    pub(in crate::cli) fn open(
        opened: &LoadedProject,
        uv_cache: Option<&Path>,
        elsewhere: Option<&str>,
    ) -> Result<Self, String> {
        let elsewhere = elsewhere.map(|setting| RemoteCache::open(setting, &opened.manifest.root)).transpose()?;
        let store = Store::open(&opened.store_options).map_err(|error| error.to_string())?;
        let wants_uv = opened.manifest.sessions.iter().any(|session| session.backend == "uv");
        let uv = wants_uv.then(|| open_uv_cache(&opened.manifest, &store, uv_cache)).transpose()?;
        Ok(Self {
            manifest: opened.manifest.clone(),
            locked: opened.options.cache.apply_lock,
            store,
            uv_cache: uv,
            folders: CachedFolders::default(),
            history_folder: None,
            session_keys: None,
            remote: elsewhere.flatten(),
            fill_dir: None,
            max_age: opened.options.cache.index_max_age,
            venvs: VenvCache::default(),
            bytecode: PublishedBytecode::default(),
            present_packages: BTreeSet::new(),
            restore_report: RestoreReport::default(),
            save_report: SaveReport::default(),
            unassigned_entries: Vec::new(),
            wheel_scanner: WheelScanner::default(),
            has_fetches: false,
            started_at: SystemTime::now(),
            warnings: Vec::new(),
        })
    }

    /// The same for sessions of a run whose folder is known.
    #[must_use]
    pub(in crate::cli) fn with_run_dir(self, run: &Path) -> Self {
        let bytecode = PublishedBytecode::in_folder(run.join("bytecode"));
        Self { fill_dir: Some(run.join("fill")), bytecode, ..self }
    }

    /// The same for sessions that get these arguments.
    #[must_use]
    pub(in crate::cli) fn with_posargs(self, posargs: &[OsString]) -> Self {
        Self { venvs: VenvCache::for_posargs(posargs), ..self }
    }

    /// What a store elsewhere should keep wanted, or have.
    pub(super) fn mark_used(&mut self, states: Vec<EntryId>) {
        if let Some(elsewhere) = &mut self.remote {
            elsewhere.mark_used(states);
        }
    }

    /// All is over: what is new and not yet sent is sent.
    pub(in crate::cli) fn finish_upload(&mut self) {
        if let Some(elsewhere) = &mut self.remote {
            elsewhere.finish_upload(&self.store);
        }
    }

    /// Writes what the packages of all environments unpack to into `noxide.sums`; says what went wrong.
    pub(in crate::cli) fn write_checksums(&self) -> Option<String> {
        let environments = self.manifest.sessions.iter().filter_map(|session| session.envdir.as_deref());
        let environments = environments.map(|folder| self.manifest.root.join(folder)).collect();
        write_checksums(&self.manifest.root, &environments, &self.store)
    }

    /// What these sessions want, as one.
    pub(in crate::cli) fn select_packages(&mut self, ids: &[SessionId]) -> PackageSelection {
        let mut all: BTreeSet<SelectedPackage> = BTreeSet::new();
        for id in ids {
            let Some((wants, _)) = self.required_packages(*id, &mut Vec::new()) else { continue };
            all.extend(wants.iter_unique().cloned());
        }
        PackageSelection::Only(all.into_iter().collect())
    }

    /// What would be put down for them.
    pub(in crate::cli) fn plan_restore(&mut self, ids: &[SessionId]) -> RestorePlan {
        let wanted = self.select_packages(ids);
        self.uv_cache.as_ref().map(|uv| self.store.plan_restore(&wanted, uv)).unwrap_or_default()
    }

    /// What sessions fetched that cannot be kept, as a sentence: this uv says of it only what nobody can verify.
    pub(super) fn unverifiable_warning(&self) -> Option<String> {
        let uv = self.uv_cache.as_ref().filter(|_| self.has_fetches && !self.locked)?;
        let count = Some(uv.count_wheels_without_digest(self.started_at)).filter(|count| *count > 0)?;
        let version =
            self.session_keys.as_ref().and_then(|keyed| keyed.key_context.uv_version.as_deref()).unwrap_or_default();
        Some(format!(
            "{} that sessions fetched cannot be kept: uv {version} notes no digest of what it is not asked to verify; \
             `--locked` asks it where there is a uv.lock, and uv 0.11.19 notes it always",
            pluralize(count, "package")
        ))
    }

    pub(super) fn is_uv_session(&self, id: SessionId) -> bool {
        self.uv_cache.is_some() && self.manifest.sessions[id.0].backend == "uv"
    }

    /// Where a session's environment lies.
    pub(super) fn environment_dir(&self, id: SessionId) -> Option<PathBuf> {
        self.manifest.sessions[id.0].envdir.as_deref().map(|folder| self.manifest.root.join(folder))
    }

    /// The sessions so far with their keys; what cannot be read is told once.
    pub(super) fn load_session_keys(&mut self, notices: &mut Vec<String>) -> &SessionKeys {
        self.session_keys.get_or_insert_with(|| {
            let keyed = SessionKeys::new(&self.manifest, self.locked, &[]);
            notices.extend(keyed.warnings.iter().map(|trouble| format!("cache: {trouble}")));
            keyed
        })
    }

    /// What a session wants, and why it is not as before; none where it is not ours.
    pub(super) fn required_packages(
        &mut self,
        id: SessionId,
        notices: &mut Vec<String>,
    ) -> Option<(RequiredPackages, String)> {
        let is_ours = self.is_uv_session(id);
        self.load_session_keys(notices);
        let keyed = self.session_keys.as_mut()?;
        self.folders.resolve_folders(&self.manifest, keyed, &self.store);
        if !is_ours {
            return None;
        }
        keyed.add_session(&self.manifest, id);
        let session = keyed.session_key(id)?;
        Some((RequiredPackages::for_session(keyed, session, &self.manifest), key_change_reason(keyed, session)))
    }

    /// What a session's environment is called; all that a store elsewhere knows it by.
    fn environment_name(&self, id: SessionId) -> String {
        let session = &self.manifest.sessions[id.0];
        let folder = session.envdir.as_deref().and_then(|folder| Path::new(folder).file_name());
        folder.map_or_else(|| session.name.as_str().to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// Puts down what of the wanted is not known to be there.
    fn restore_packages(&mut self, wants: &RequiredPackages, progress: &dyn ProgressReporter) -> RestoreReport {
        let wanted: Vec<SelectedPackage> =
            wants.iter_unique().filter(|package| !self.present_packages.contains(package)).cloned().collect();
        if wanted.is_empty() {
            return RestoreReport::default();
        }
        let Some(uv) = &self.uv_cache else { return RestoreReport::default() };
        let report = self.store.restore_wheels(&PackageSelection::Only(wanted.clone()), uv, progress);
        let missed: BTreeSet<&str> = report.misses.iter().map(|miss| miss.name.as_str()).collect();
        self.present_packages.extend(wanted.into_iter().filter(|package| !missed.contains(package.name.as_str())));
        self.restore_report.merge(report.clone());
        report
    }

    /// Since when a session's environment may be made to be put back, if it may be at all.
    fn venv_cutoff(&self, id: SessionId) -> Option<Option<Timestamp>> {
        // Where no lock says what it holds, plain nox would make it anew here and see new releases: so old ones come
        // back only as far as the user says they may be old.
        match self.max_age {
            _ if is_locked(self.session_keys.as_ref()?, &self.manifest.sessions[id.0]) => Some(None),
            Some(age) => Timestamp::now().checked_sub(age).ok().map(Some),
            None => None,
        }
    }

    /// What a session's environment is called in stores, where it may be put back.
    fn venv_key(&self, id: SessionId) -> Option<VersionedKey> {
        self.venv_cutoff(id)?;
        self.venvs.venv_key(&self.manifest.sessions[id.0], self.session_keys.as_ref()?.session_key(id)?)
    }

    /// The tag of a session's bytecode; empty where nobody knows.
    pub(super) fn bytecode_tag(&self, id: SessionId) -> String {
        let python = self.session_keys.as_ref().and_then(|keyed| keyed.session_key(id)?.interpreter.as_ref());
        python.map(|python| python.tag.clone()).unwrap_or_default()
    }

    /// Puts a session's environment back where nox would reuse it; gives its bytes.
    fn restore_venv(&mut self, id: SessionId, progress: &dyn ProgressReporter, notices: &mut Vec<String>) -> u64 {
        let Some(since) = self.venv_cutoff(id) else { return 0 };
        let Some(keyed) = self.session_keys.as_ref().and_then(|keyed| keyed.session_key(id)) else { return 0 };
        let session = &self.manifest.sessions[id.0];
        let name = &session.name;
        match self.venvs.restore((session, keyed), since, &self.store, progress) {
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
}

impl Provisioner for CacheProvisioner {
    fn provision_session(&mut self, id: SessionId, progress: &dyn ProgressReporter) -> ProvisionResult {
        let begun = Instant::now();
        let mut notices = Vec::new();
        let wants = self.required_packages(id, &mut notices);
        if let Some(elsewhere) = &mut self.remote {
            elsewhere.download_versioned(&self.folders.pending_keys(), &self.store, progress);
        }
        let (used, troubles) = self.folders.restore(&self.store, progress);
        notices.extend(troubles);
        self.mark_used(used);
        let Some((mut wants, reason)) = wants else { return ProvisionResult { notices, ..ProvisionResult::default() } };
        let (environment, tag) = (self.environment_name(id), self.bytecode_tag(id));
        let states: Vec<VersionedKey> = self.venv_key(id).into_iter().collect();
        if let (Some(elsewhere), Some(uv)) = (&mut self.remote, &self.uv_cache) {
            let compiled = Some(tag.as_str()).filter(|_| self.store.options().bytecode);
            elsewhere.download_for_session(&environment, &mut wants, (compiled, &states), (&self.store, uv), progress);
        }
        if !wants.has_installs && wants.required.is_empty() {
            return ProvisionResult { notices, ..ProvisionResult::default() };
        }
        let report = self.restore_packages(&wants, progress);
        let damaged = report.damaged.iter();
        notices.extend(damaged.map(|it| format!("cache: {} is damaged and put aside: {}", it.name, it.corruption)));
        let bytes = self.restore_venv(id, progress, &mut notices);
        let mut cache = wants.cache_use(&report, begun.elapsed().as_secs_f64(), reason);
        cache.bytes += bytes;
        let fills = cache.misses > 0 || wants.required.is_empty();
        self.has_fetches |= fills;
        let fill = self.fill_dir.as_ref().filter(|_| fills);
        let fill = fill.map(|fill| ("NOXIDE_INSTALLS_FILL".to_owned(), fill.display().to_string()));
        let shared = self.fill_dir.as_ref().map(|fill| fill.with_file_name("shared").display().to_string());
        let (bytecode, used) = self.bytecode.publish_packages(wants.iter_unique(), &tag, &self.store);
        self.mark_used(used);
        let shared = shared.map(|shared| ("NOXIDE_INSTALLS_SHARED".to_owned(), shared));
        let env = fill.into_iter().chain(shared).chain(bytecode);
        ProvisionResult { cache: Some(cache), env: env.collect(), notices }
    }

    fn save_while_idle(&mut self, progress: &dyn ProgressReporter) -> Option<Duration> {
        self.uv_cache.as_ref().filter(|_| self.has_fetches)?;
        let some = self.save_wheel_batch(progress);
        Some(if some { Duration::from_millis(1) } else { Duration::from_secs(1) })
    }

    fn save_finished(&mut self, over: &[FinishedSession], progress: &dyn ProgressReporter) {
        self.save_finished_sessions(over, progress);
    }
}

/// uv's cache as sessions see it; else why not, in words.
fn open_uv_cache(manifest: &NoxfileManifest, store: &Store, uv_cache: Option<&Path>) -> Result<UvCache, String> {
    let uv = Uv::from_path(find_uv(manifest).ok_or_else(|| "there is no uv beside nox or on PATH".to_owned())?);
    let dir = match (uv_cache, &manifest.uv_cache) {
        (Some(dir), _) => dir.to_path_buf(),
        (None, Some(dir)) => manifest.root.join(dir),
        (None, None) => {
            uv.cache_dir(&manifest.root, &|name| std::env::var_os(name)).map_err(|error| error.to_string())?
        }
    };
    let dir = std::path::absolute(dir).map_err(|error| error.to_string())?;
    match uv.detect_layout(store) {
        UvLayoutSupport::Known(layout) => Ok(UvCache::new(dir, layout)),
        UvLayoutSupport::Unknown { reason: why } => {
            Err(format!("{} keeps its cache in a way not known here: {why}", uv.path().display()))
        }
    }
}
