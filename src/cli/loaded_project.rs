//! A project opened for work: settings read, nox found, the noxfile loaded.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::error::CliError;
use super::host_args::LoadArgs;
use super::output_context::{OutputContext, is_ci};
use super::signals::SignalGuard;
use crate::cache::CacheOptions;
use crate::config::{Settings, SettingsFlags, load_settings};
use crate::project::{Host, HostMode, HostOptions, NoxOrigin, NoxPython, NoxSearch, NoxfileManifest, find_nox};
use crate::run::RunOptions;
use crate::run::process::{become_subreaper, kill_run_processes};
use crate::trace::TraceCache;

/// A project opened for work.
pub(super) struct LoadedProject {
    /// The host, with the noxfile loaded.
    pub(super) host: Host,
    /// What the noxfile declares.
    pub(super) manifest: NoxfileManifest,
    /// What settings say.
    pub(super) options: RunOptions,
    /// Sentences people should see.
    pub(super) notices: Vec<String>,
    /// What settings say of the store.
    pub(super) store_options: CacheOptions,
    /// Whom signals reach. After the host, so that they still count while that ends.
    pub(super) signals: SignalGuard,
}

/// What a project is opened with.
pub(super) struct LoadOptions<'a> {
    /// What flags say of settings.
    pub(super) flags: SettingsFlags,
    /// The noxfile, where a flag names one.
    pub(super) noxfile: Option<&'a Path>,
    /// Arguments for nox.
    pub(super) nox_args: Vec<OsString>,
    /// What follows `--`.
    pub(super) posargs: Vec<OsString>,
    /// Whether sessions will be run.
    pub(super) will_run: bool,
}

impl<'a> LoadOptions<'a> {
    /// What a project is opened with that nothing of is run.
    pub(super) fn from_args(load: &'a LoadArgs) -> Self {
        Self {
            flags: load.host.settings_flags(),
            noxfile: load.selection.noxfile.as_deref().map(Path::new),
            nox_args: load.selection.nox_args(),
            posargs: Vec::new(),
            will_run: false,
        }
    }
}

impl LoadedProject {
    /// Opens the project in the current folder.
    ///
    /// # Errors
    /// When settings are wrong, there is no nox, the noxfile does not load, or a signal came meanwhile.
    pub(super) fn load(wanted: LoadOptions<'_>, screen: &OutputContext) -> Result<Self, CliError> {
        // Before the host is started: its orphans become ours.
        become_subreaper();
        let watch = SignalGuard::install()
            .map_err(|source| CliError::Io { context: "cannot catch signals".to_owned(), source })?;
        let loaded = load_project(wanted, screen);
        if let Some(signal) = watch.finish_loading() {
            drop(loaded);
            kill_run_processes(None, None);
            return Err(CliError::Interrupted(signal));
        }
        let LoadedParts { host, manifest, options, notices, store_options: store } = loaded?;
        Ok(Self { host, manifest, options, notices, store_options: store, signals: watch })
    }
}

impl LoadedProject {
    /// Closes the host; exit hooks of the noxfile may start programs too.
    pub(super) fn close(self) {
        self.host.close();
        kill_run_processes(None, None);
    }
}

/// What is known of a project once its noxfile is loaded.
struct LoadedParts {
    host: Host,
    manifest: NoxfileManifest,
    options: RunOptions,
    notices: Vec<String>,
    store_options: CacheOptions,
}

fn load_project(wanted: LoadOptions<'_>, screen: &OutputContext) -> Result<LoadedParts, CliError> {
    let root = settings_root(wanted.noxfile);
    let file = load_settings(&root).map_err(CliError::Settings)?;
    let settings =
        Settings::resolve(&wanted.flags, &|name| std::env::var_os(name), file).map_err(CliError::Settings)?;
    let mut options = settings.run_options();
    let python = locate_nox(&settings, &root)?;
    let mut notices = Vec::new();
    if let NoxOrigin::Private { created: true } = python.origin {
        let place = python.executable.parent().unwrap_or(&python.executable);
        notices.push(format!("no nox was found: noxide made itself one, with uv, in {}", place.display()));
    }
    let (host, manifest) = Host::start(HostOptions {
        root: PathBuf::from("."),
        python,
        nox_args: wanted.nox_args,
        posargs: wanted.posargs,
        env: Vec::new(),
        color: screen.stdout_styles.color,
        will_run_sessions: wanted.will_run,
        load_timeout: options.load_timeout,
        cache_folder: user_cache_dir(),
    })?;
    validate_session_names(&settings, &manifest)?;
    options.learned_conflicts = TraceCache::load(&manifest.root.join(".noxide")).conflicts;
    notices.extend(manifest.notices.iter().cloned());
    if let HostMode::Process { why } = &manifest.mode {
        notices.push(format!("each session gets a nox of its own: {why}"));
    }
    Ok(LoadedParts { host, manifest, options, notices, store_options: resolve_store_options(&settings) })
}

/// The folder whose settings count: that of the noxfile.
pub(super) fn settings_root(noxfile: Option<&Path>) -> PathBuf {
    let folder = noxfile.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn locate_nox(settings: &Settings, root: &Path) -> Result<NoxPython, CliError> {
    let own = std::env::current_exe().ok();
    Ok(find_nox(&NoxSearch {
        explicit: settings.nox.value.clone(),
        root: root.to_path_buf(),
        path_variable: std::env::var_os("PATH").unwrap_or_default(),
        sibling_folder: own.as_deref().and_then(Path::parent).map(Path::to_path_buf),
        cache: user_cache_dir(),
    })?)
}

/// What settings, environment and defaults say of the store: for every command the same.
pub(super) fn resolve_store_options(settings: &Settings) -> CacheOptions {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    settings.cache_options(user_cache_dir().map(|folder| folder.join("store")), home.as_deref(), is_ci())
}

/// Where noxide keeps what is worth keeping between projects.
pub(super) fn user_cache_dir() -> Option<PathBuf> {
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

fn validate_session_names(settings: &Settings, manifest: &NoxfileManifest) -> Result<(), CliError> {
    let sessions = manifest.sessions.iter();
    let names: Vec<&str> = sessions
        .flat_map(|session| std::iter::once(session.base.as_str()).chain(session.signatures.iter().map(String::as_str)))
        .collect();
    let errors = settings.validate_session_names(&names);
    if errors.is_empty() { Ok(()) } else { Err(CliError::Settings(errors)) }
}
