//! A project opened for work: settings read, nox found, the noxfile loaded.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::host_flags::LoadArgs;
use super::screen::{Screen, is_ci};
use super::watch::Watch;
use crate::cache::CacheOptions;
use crate::config::{Flags, Settings, load};
use crate::project::{Host, HostMode, HostOptions, Manifest, NoxOrigin, NoxPython, NoxSearch, find_nox};
use crate::run::RunOptions;
use crate::run::process::{become_subreaper, end_run};
use crate::trace::Knowledge;

/// A project opened for work.
pub(super) struct Opened {
    /// The host, with the noxfile loaded.
    pub(super) host: Host,
    /// What the noxfile declares.
    pub(super) manifest: Manifest,
    /// What settings say.
    pub(super) options: RunOptions,
    /// Sentences people should see.
    pub(super) notices: Vec<String>,
    /// What settings say of the store.
    pub(super) store: CacheOptions,
    /// Whom signals reach. After the host, so that they still count while that ends.
    pub(super) watch: Watch,
}

/// What a project is opened with.
pub(super) struct Wanted<'a> {
    /// What flags say of settings.
    pub(super) flags: Flags,
    /// The noxfile, where a flag names one.
    pub(super) noxfile: Option<&'a Path>,
    /// Arguments for nox.
    pub(super) nox_args: Vec<OsString>,
    /// What follows `--`.
    pub(super) posargs: Vec<OsString>,
    /// Whether sessions will be run.
    pub(super) ahead: bool,
}

impl<'a> Wanted<'a> {
    /// What a project is opened with that nothing of is run.
    pub(super) fn of(load: &'a LoadArgs) -> Self {
        Self {
            flags: load.host.flags(),
            noxfile: load.selection.noxfile.as_deref().map(Path::new),
            nox_args: load.selection.nox_args(),
            posargs: Vec::new(),
            ahead: false,
        }
    }
}

impl Opened {
    /// Opens the project in the current folder.
    ///
    /// # Errors
    /// When settings are wrong, there is no nox, the noxfile does not load, or a signal came meanwhile.
    pub(super) fn new(wanted: Wanted<'_>, screen: &Screen) -> Result<Self, Failure> {
        // Before the host is started: its orphans become ours.
        become_subreaper();
        let watch =
            Watch::begin().map_err(|source| Failure::System { what: "cannot catch signals".to_owned(), source })?;
        let loaded = load_project(wanted, screen);
        if let Some(signal) = watch.loaded() {
            drop(loaded);
            end_run(None, None);
            return Err(Failure::Ended(signal));
        }
        let Loaded { host, manifest, options, notices, store } = loaded?;
        Ok(Self { host, manifest, options, notices, store, watch })
    }
}

impl Opened {
    /// Closes the host; exit hooks of the noxfile may start programs too.
    pub(super) fn close(self) {
        self.host.close();
        end_run(None, None);
    }
}

/// What is known of a project once its noxfile is loaded.
struct Loaded {
    host: Host,
    manifest: Manifest,
    options: RunOptions,
    notices: Vec<String>,
    store: CacheOptions,
}

fn load_project(wanted: Wanted<'_>, screen: &Screen) -> Result<Loaded, Failure> {
    let root = root(wanted.noxfile);
    let file = load(&root).map_err(Failure::Settings)?;
    let settings = Settings::resolve(&wanted.flags, &|name| std::env::var_os(name), file).map_err(Failure::Settings)?;
    let mut options = settings.run_options();
    let python = nox(&settings, &root)?;
    let mut notices = Vec::new();
    if let NoxOrigin::Private { made: true } = python.origin {
        let place = python.executable.parent().unwrap_or(&python.executable);
        notices.push(format!("no nox was found: noxide made itself one, with uv, in {}", place.display()));
    }
    let (host, manifest) = Host::start(HostOptions {
        root: PathBuf::from("."),
        python,
        nox_args: wanted.nox_args,
        posargs: wanted.posargs,
        env: Vec::new(),
        color: screen.out.color,
        ahead: wanted.ahead,
        load_timeout: options.load_timeout,
        cache: cache_folder(),
    })?;
    check_names(&settings, &manifest)?;
    options.learnt = Knowledge::read(&manifest.root.join(".noxide")).apart;
    notices.extend(manifest.notices.iter().cloned());
    if let HostMode::Process { why } = &manifest.mode {
        notices.push(format!("each session gets a nox of its own: {why}"));
    }
    Ok(Loaded { host, manifest, options, notices, store: store_options(&settings) })
}

/// The folder whose settings count: that of the noxfile.
pub(super) fn root(noxfile: Option<&Path>) -> PathBuf {
    let folder = noxfile.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn nox(settings: &Settings, root: &Path) -> Result<NoxPython, Failure> {
    let own = std::env::current_exe().ok();
    Ok(find_nox(&NoxSearch {
        explicit: settings.nox.value.clone(),
        root: root.to_path_buf(),
        path: std::env::var_os("PATH").unwrap_or_default(),
        beside: own.as_deref().and_then(Path::parent).map(Path::to_path_buf),
        cache: cache_folder(),
    })?)
}

/// What settings, environment and defaults say of the store: for every command the same.
pub(super) fn store_options(settings: &Settings) -> CacheOptions {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    settings.cache_options(cache_folder().map(|folder| folder.join("store")), home.as_deref(), is_ci())
}

/// Where noxide keeps what is worth keeping between projects.
pub(super) fn cache_folder() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || named("HOME");
    named("NOXIDE_CACHE_DIR").or_else(|| {
        if cfg!(target_os = "macos") {
            home().map(|home| home.join("Library/Caches/noxide"))
        } else {
            named("XDG_CACHE_HOME").or_else(|| home().map(|home| home.join(".cache"))).map(|cache| cache.join("noxide"))
        }
    })
}

fn check_names(settings: &Settings, manifest: &Manifest) -> Result<(), Failure> {
    let sessions = manifest.sessions.iter();
    let names: Vec<&str> = sessions
        .flat_map(|session| std::iter::once(session.base.as_str()).chain(session.signatures.iter().map(String::as_str)))
        .collect();
    let errors = settings.check_names(&names);
    if errors.is_empty() { Ok(()) } else { Err(Failure::Settings(errors)) }
}
