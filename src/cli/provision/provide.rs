//! Dependencies that are there before a session asks for them: restored before it starts, kept when it is over.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

use super::bytecode::Bytecode;
use super::elsewhere::{Elsewhere, write_sums};
use super::fetched::Fetched;
use super::folders::{Folders, is_pips};
use super::venvs::Venvs;
use super::wants::{Wants, new_to_us, obeys};
use crate::cache::store::{EntryId, KeptFolder, RestorePlan, RestoreReport, SaveReport, StateName};
use crate::cache::uv::Known;
use crate::cache::{Progress, Store, Uv, UvCache, Wanted, WantedPackage};
use crate::cli::dependencies::find_uv;
use crate::cli::failure::Failure;
use crate::cli::keyed::Keyed;
use crate::cli::opened::Opened;
use crate::output::{plural, size};
use crate::project::{Manifest, SessionId};
use crate::run::{CacheMode, Provide, Provided, SessionOver};

/// What a run's dependencies come from and go to.
pub(in crate::cli) struct Provision {
    pub(super) manifest: Manifest,
    locked: bool,
    pub(super) store: Store,
    /// uv's cache; none where no session wants one.
    pub(super) uv: Option<UvCache>,
    pub(super) folders: Folders,
    /// Records of past runs, where a checkout without any gets those of others.
    pub(super) past: Option<KeptFolder>,
    /// The sessions so far with the keys of what they install; read when first asked for.
    pub(super) keyed: Option<Keyed>,
    pub(super) elsewhere: Option<Elsewhere>,
    /// Where sessions meet that fill the cache.
    fill: Option<PathBuf>,
    max_age: Option<Duration>,
    pub(super) venvs: Venvs,
    bytecode: Bytecode,
    /// What was asked for and is there.
    had: BTreeSet<WantedPackage>,
    /// What was restored, of all sessions.
    pub(in crate::cli) restored: RestoreReport,
    /// What is new in the store, of all sessions.
    pub(in crate::cli) saved: SaveReport,
    /// Of that, what no session was over to answer for yet.
    pub(super) new: Vec<EntryId>,
    /// Wheels that sessions fetched so far.
    pub(super) fetched: Fetched,
    /// Whether a session fetches.
    fills: bool,
    begun: SystemTime,
    /// What went wrong while keeping, in sentences.
    pub(in crate::cli) troubles: Vec<String>,
}

impl Provision {
    /// Opens the store and uv's cache for these sessions. None where there is nothing to do, or the cache is not used.
    ///
    /// # Errors
    /// Only with `--cache require`; else a cache that fails is a notice.
    pub(in crate::cli) fn new(
        opened: &mut Opened,
        ids: &[SessionId],
        elsewhere: Option<&str>,
    ) -> Result<Option<Self>, Failure> {
        let mode = opened.options.cache.mode;
        // A session without installs to be seen may make them all the same; only one elsewhere knows what it held.
        let wants = |id: &SessionId| {
            let session = &opened.manifest.sessions[id.0];
            let uv = session.backend == "uv" && (elsewhere.is_some() || !session.installs.is_empty());
            uv || is_pips(&opened.manifest, *id) || (session.backend != "none" && !opened.store.folders.is_empty())
        };
        if mode == CacheMode::Off || !ids.iter().any(wants) {
            return Ok(None);
        }
        match Self::open(opened, None, elsewhere) {
            Ok(provision) => Ok(Some(provision)),
            Err(why) if mode == CacheMode::Require => Err(Failure::Cache(why)),
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
        opened: &Opened,
        uv_cache: Option<&Path>,
        elsewhere: Option<&str>,
    ) -> Result<Self, String> {
        let elsewhere = elsewhere.map(|setting| Elsewhere::open(setting, &opened.manifest.root)).transpose()?;
        let store = Store::open(&opened.store).map_err(|error| error.to_string())?;
        let wants_uv = opened.manifest.sessions.iter().any(|session| session.backend == "uv");
        let uv = wants_uv.then(|| uv_side(&opened.manifest, &store, uv_cache)).transpose()?;
        Ok(Self {
            manifest: opened.manifest.clone(),
            locked: opened.options.cache.locked,
            store,
            uv,
            folders: Folders::default(),
            past: None,
            keyed: None,
            elsewhere: elsewhere.flatten(),
            fill: None,
            max_age: opened.options.cache.max_age,
            venvs: Venvs::default(),
            bytecode: Bytecode::default(),
            had: BTreeSet::new(),
            restored: RestoreReport::default(),
            saved: SaveReport::default(),
            new: Vec::new(),
            fetched: Fetched::default(),
            fills: false,
            begun: SystemTime::now(),
            troubles: Vec::new(),
        })
    }

    /// The same for sessions of a run whose folder is known.
    #[must_use]
    pub(in crate::cli) fn for_run(self, run: &Path) -> Self {
        let bytecode = Bytecode::in_folder(run.join("bytecode"));
        Self { fill: Some(run.join("fill")), bytecode, ..self }
    }

    /// The same for sessions that get these arguments.
    #[must_use]
    pub(in crate::cli) fn with_posargs(self, posargs: &[OsString]) -> Self {
        Self { venvs: Venvs::of(posargs), ..self }
    }

    /// What a store elsewhere should keep wanted, or have.
    pub(super) fn uses(&mut self, states: Vec<EntryId>) {
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.uses(states);
        }
    }

    /// All is over: what is new and not yet sent is sent.
    pub(in crate::cli) fn close(&mut self) {
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.close(&self.store);
        }
    }

    /// Writes what the packages of all environments unpack to into `noxide.sums`; says what went wrong.
    pub(in crate::cli) fn write_sums(&self) -> Option<String> {
        let environments = self.manifest.sessions.iter().filter_map(|session| session.envdir.as_deref());
        let environments = environments.map(|folder| self.manifest.root.join(folder)).collect();
        write_sums(&self.manifest.root, &environments, &self.store)
    }

    /// What these sessions want, as one.
    pub(in crate::cli) fn wanted(&mut self, ids: &[SessionId]) -> Wanted {
        let mut all: BTreeSet<WantedPackage> = BTreeSet::new();
        for id in ids {
            let Some((wants, _)) = self.wants(*id, &mut Vec::new()) else { continue };
            all.extend(wants.all().cloned());
        }
        Wanted::These(all.into_iter().collect())
    }

    /// What would be put down for them.
    pub(in crate::cli) fn plan(&mut self, ids: &[SessionId]) -> RestorePlan {
        let wanted = self.wanted(ids);
        self.uv.as_ref().map(|uv| self.store.plan_restore(&wanted, uv)).unwrap_or_default()
    }

    /// What sessions fetched that cannot be kept, as a sentence: this uv says of it only what nobody can verify.
    pub(super) fn unnamed(&self) -> Option<String> {
        let uv = self.uv.as_ref().filter(|_| self.fills && !self.locked)?;
        let count = Some(uv.unnamed(self.begun)).filter(|count| *count > 0)?;
        let version = self.keyed.as_ref().and_then(|keyed| keyed.surroundings.uv.as_deref()).unwrap_or_default();
        Some(format!(
            "{} that sessions fetched cannot be kept: uv {version} notes no digest of what it is not asked to verify; \
             `--locked` asks it where there is a uv.lock, and uv 0.11.19 notes it always",
            plural(count, "package")
        ))
    }

    pub(super) fn is_ours(&self, id: SessionId) -> bool {
        self.uv.is_some() && self.manifest.sessions[id.0].backend == "uv"
    }

    /// Where a session's environment lies.
    pub(super) fn folder(&self, id: SessionId) -> Option<PathBuf> {
        self.manifest.sessions[id.0].envdir.as_deref().map(|folder| self.manifest.root.join(folder))
    }

    /// The sessions so far with their keys; what cannot be read is told once.
    pub(super) fn keyed(&mut self, notices: &mut Vec<String>) -> &Keyed {
        self.keyed.get_or_insert_with(|| {
            let keyed = Keyed::new(&self.manifest, self.locked, &[]);
            notices.extend(keyed.troubles.iter().map(|trouble| format!("cache: {trouble}")));
            keyed
        })
    }

    /// What a session wants, and why it is not as before; none where it is not ours.
    pub(super) fn wants(&mut self, id: SessionId, notices: &mut Vec<String>) -> Option<(Wants, String)> {
        let is_ours = self.is_ours(id);
        self.keyed(notices);
        let keyed = self.keyed.as_mut()?;
        self.folders.look(&self.manifest, keyed, &self.store);
        if !is_ours {
            return None;
        }
        keyed.add(&self.manifest, id);
        let session = keyed.session(id)?;
        Some((Wants::of(keyed, session, &self.manifest), new_to_us(keyed, session)))
    }

    /// What a session's environment is called; all that a store elsewhere knows it by.
    fn environment(&self, id: SessionId) -> String {
        let session = &self.manifest.sessions[id.0];
        let folder = session.envdir.as_deref().and_then(|folder| Path::new(folder).file_name());
        folder.map_or_else(|| session.name.as_str().to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// Puts down what of the wanted is not known to be there.
    fn restore(&mut self, wants: &Wants, progress: &dyn Progress) -> RestoreReport {
        let wanted: Vec<WantedPackage> = wants.all().filter(|package| !self.had.contains(package)).cloned().collect();
        if wanted.is_empty() {
            return RestoreReport::default();
        }
        let Some(uv) = &self.uv else { return RestoreReport::default() };
        let report = self.store.restore(&Wanted::These(wanted.clone()), uv, progress);
        let missed: BTreeSet<&str> = report.misses.iter().map(|miss| miss.name.as_str()).collect();
        self.had.extend(wanted.into_iter().filter(|package| !missed.contains(package.name.as_str())));
        self.restored.add(report.clone());
        report
    }

    /// Since when a session's environment may be made to be put back, if it may be at all.
    fn venv_since(&self, id: SessionId) -> Option<Option<Timestamp>> {
        // Where no lock says what it holds, plain nox would make it anew here and see new releases: so old ones come
        // back only as far as the user says they may be old.
        match self.max_age {
            _ if obeys(self.keyed.as_ref()?, &self.manifest.sessions[id.0]) => Some(None),
            Some(age) => Timestamp::now().checked_sub(age).ok().map(Some),
            None => None,
        }
    }

    /// What a session's environment is called in stores, where it may be put back.
    fn venv_state(&self, id: SessionId) -> Option<StateName> {
        self.venv_since(id)?;
        self.venvs.state(&self.manifest.sessions[id.0], self.keyed.as_ref()?.session(id)?)
    }

    /// The tag of a session's bytecode; empty where nobody knows.
    pub(super) fn tag(&self, id: SessionId) -> String {
        let python = self.keyed.as_ref().and_then(|keyed| keyed.session(id)?.python.as_ref());
        python.map(|python| python.tag.clone()).unwrap_or_default()
    }

    /// Puts a session's environment back where nox would reuse it; gives its bytes.
    fn restore_venv(&mut self, id: SessionId, progress: &dyn Progress, notices: &mut Vec<String>) -> u64 {
        let Some(since) = self.venv_since(id) else { return 0 };
        let Some(keyed) = self.keyed.as_ref().and_then(|keyed| keyed.session(id)) else { return 0 };
        let session = &self.manifest.sessions[id.0];
        let name = &session.name;
        match self.venvs.restore((session, keyed), since, &self.store, progress) {
            Ok(None) => 0,
            Ok(Some(restored)) => {
                let (files, bytes) = (restored.files, restored.bytes);
                notices.push(format!("cache: environment of {name} restored, {files} files, {}", size(bytes)));
                self.uses(EntryId::parse(&restored.entry).into_iter().collect());
                bytes
            }
            Err(miss) => {
                notices.push(format!("cache: environment of {name} not restored: {}", miss.reason));
                0
            }
        }
    }
}

impl Provide for Provision {
    fn before(&mut self, id: SessionId, progress: &dyn Progress) -> Provided {
        let begun = Instant::now();
        let mut notices = Vec::new();
        let wants = self.wants(id, &mut notices);
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.bring_states(&self.folders.states(), &self.store, progress);
        }
        let (used, troubles) = self.folders.restore(&self.store, progress);
        notices.extend(troubles);
        self.uses(used);
        let Some((mut wants, reason)) = wants else { return Provided { notices, ..Provided::default() } };
        let (environment, tag) = (self.environment(id), self.tag(id));
        let states: Vec<StateName> = self.venv_state(id).into_iter().collect();
        if let (Some(elsewhere), Some(uv)) = (&mut self.elsewhere, &self.uv) {
            let compiled = Some(tag.as_str()).filter(|_| self.store.options().bytecode);
            elsewhere.bring(&environment, &mut wants, (compiled, &states), (&self.store, uv), progress);
        }
        if !wants.installs && wants.counted.is_empty() {
            return Provided { notices, ..Provided::default() };
        }
        let report = self.restore(&wants, progress);
        let damaged = report.damaged.iter();
        notices.extend(damaged.map(|it| format!("cache: {} is damaged and put aside: {}", it.name, it.wrong)));
        let bytes = self.restore_venv(id, progress, &mut notices);
        let mut cache = wants.used(&report, begun.elapsed().as_secs_f64(), reason);
        cache.bytes += bytes;
        let fills = cache.misses > 0 || wants.counted.is_empty();
        self.fills |= fills;
        let fill = self.fill.as_ref().filter(|_| fills);
        let fill = fill.map(|fill| ("NOXIDE_INSTALLS_FILL".to_owned(), fill.display().to_string()));
        let shared = self.fill.as_ref().map(|fill| fill.with_file_name("shared").display().to_string());
        let (bytecode, used) = self.bytecode.tell(wants.all(), &tag, &self.store);
        self.uses(used);
        let shared = shared.map(|shared| ("NOXIDE_INSTALLS_SHARED".to_owned(), shared));
        let env = fill.into_iter().chain(shared).chain(bytecode);
        Provided { cache: Some(cache), env: env.collect(), notices }
    }

    fn meanwhile(&mut self, progress: &dyn Progress) -> Option<Duration> {
        self.uv.as_ref().filter(|_| self.fills)?;
        let some = self.take_a_few(progress);
        Some(if some { Duration::from_millis(1) } else { Duration::from_secs(1) })
    }

    fn after(&mut self, over: &[SessionOver], progress: &dyn Progress) {
        self.keep_over(over, progress);
    }
}

/// uv's cache as sessions see it; else why not, in words.
fn uv_side(manifest: &Manifest, store: &Store, uv_cache: Option<&Path>) -> Result<UvCache, String> {
    let uv = Uv::at(find_uv(manifest).ok_or_else(|| "there is no uv beside nox or on PATH".to_owned())?);
    let dir = match (uv_cache, &manifest.uv_cache) {
        (Some(dir), _) => dir.to_path_buf(),
        (None, Some(dir)) => manifest.root.join(dir),
        (None, None) => {
            uv.cache_dir(&manifest.root, &|name| std::env::var_os(name)).map_err(|error| error.to_string())?
        }
    };
    let dir = std::path::absolute(dir).map_err(|error| error.to_string())?;
    match uv.layout(store) {
        Known::Known(layout) => Ok(UvCache::new(dir, layout)),
        Known::Unknown { why } => {
            Err(format!("{} keeps its cache in a way not known here: {why}", uv.path().display()))
        }
    }
}
