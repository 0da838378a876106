//! Loaded project: settings resolved, nox located, the noxfile loaded by the host.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::error::{CliError, ErrorContext as _};
use super::shared_args::LoadArgs;
use crate::cache::CacheOptions;
use crate::config::{Settings, SettingsFlags, load_settings};
use crate::output::{OutputContext, is_ci};
use crate::project::{Host, HostMode, HostOptions, NoxOrigin, NoxPython, NoxSearch, NoxfileManifest, find_nox};
use crate::provision::ProvisionInputs;
use crate::record::{SessionHistory, ShardMetadata};
use crate::run::process::{SignalGuard, become_subreaper, kill_run_processes};
use crate::run::{FailFast, GraphError, RunOptions, Shard, ShardPlan};
use crate::trace::TraceCache;

/// A project whose noxfile is loaded.
pub(super) struct LoadedProject {
    /// The host process that has loaded the noxfile.
    pub(super) host: Host,
    /// What the noxfile declares.
    pub(super) manifest: NoxfileManifest,
    /// Options of a run, from settings and the noxfile.
    pub(super) options: RunOptions,
    /// The shard that is selected.
    pub(super) shard: Option<ShardMetadata>,
    /// Messages for the user.
    pub(super) notices: Vec<String>,
    /// The user's cache directory.
    pub(super) user_cache_dir: Option<PathBuf>,
    store_options: CacheOptions,
    /// Receiver of signals. Declared after the host, so that signals still count while the host ends.
    pub(super) signals: SignalGuard,
}

/// Inputs of loading a project.
pub(super) struct LoadOptions<'a> {
    /// Settings given as flags.
    pub(super) flags: SettingsFlags,
    /// The noxfile, if a flag names one.
    pub(super) noxfile: Option<&'a Path>,
    /// Arguments for nox.
    pub(super) nox_args: Vec<OsString>,
    /// Arguments after `--`.
    pub(super) posargs: Vec<OsString>,
    /// Whether sessions will be run.
    pub(super) will_run: bool,
    /// The shard to select.
    pub(super) shard: Option<Shard>,
    /// Whether conflicts learned from traces separate sessions.
    pub(super) uses_learned_conflicts: bool,
}

impl<'a> LoadOptions<'a> {
    /// Options of commands that run no session.
    pub(super) fn from_args(load: &'a LoadArgs) -> Self {
        Self {
            flags: load.host.settings_flags(),
            noxfile: load.selection.noxfile.as_deref().map(Path::new),
            nox_args: load.selection.nox_args(),
            posargs: Vec::new(),
            will_run: false,
            shard: None,
            uses_learned_conflicts: true,
        }
    }
}

impl LoadedProject {
    /// Loads the project in the current directory.
    ///
    /// # Errors
    /// When settings are wrong, there is no nox, the noxfile does not load, or a signal arrives meanwhile.
    pub(super) fn load(options: LoadOptions<'_>, output: &OutputContext) -> Result<Self, CliError> {
        // Before the host starts: its orphans become children of noxide.
        become_subreaper();
        let signals = SignalGuard::install().context("cannot catch signals")?;
        let loaded = LoadedNoxfile::load(options, output);
        if let Some(signal) = signals.finish_loading() {
            drop(loaded);
            kill_run_processes(None, None);
            return Err(CliError::Interrupted { signal, during: "while the noxfile was loading; no session was run" });
        }
        let LoadedNoxfile { host, manifest, options, shard, notices, store_options } = loaded?;
        let user_cache_dir = user_cache_dir();
        Ok(Self { host, manifest, options, shard, notices, user_cache_dir, store_options, signals })
    }

    /// Returns the inputs of a provisioner for this project.
    pub(super) fn provision_inputs<'a>(
        &'a self,
        remote: Option<&'a str>,
        uv_cache: Option<&'a Path>,
        posargs: &'a [OsString],
    ) -> ProvisionInputs<'a> {
        ProvisionInputs {
            manifest: &self.manifest,
            options: &self.options.provision,
            store: &self.store_options,
            remote,
            uv_cache,
            user_cache_dir: self.user_cache_dir.as_deref(),
            posargs,
            shares_history: remote.is_some() || is_ci(),
        }
    }

    /// Closes the host, and kills what exit hooks of the noxfile have started.
    pub(super) fn close(self) {
        self.host.close();
        kill_run_processes(None, None);
    }
}

/// A loaded project without its receiver of signals.
struct LoadedNoxfile {
    host: Host,
    manifest: NoxfileManifest,
    options: RunOptions,
    shard: Option<ShardMetadata>,
    notices: Vec<String>,
    store_options: CacheOptions,
}

impl LoadedNoxfile {
    fn load(load: LoadOptions<'_>, output: &OutputContext) -> Result<Self, CliError> {
        let root = settings_root(load.noxfile);
        let file = load_settings(&root).map_err(CliError::Settings)?;
        let settings =
            Settings::resolve(&load.flags, &|name| std::env::var_os(name), file).map_err(CliError::Settings)?;
        let python = locate_nox(&settings, &root)?;
        let mut notices: Vec<String> = private_nox_notice(&python).into_iter().collect();
        let (shard, uses_learned_conflicts) = (load.shard, load.uses_learned_conflicts);
        let stops_by_flag = load.flags.fail_fast.is_some();
        let (host, mut manifest) = Host::start(HostOptions {
            root: PathBuf::from("."),
            python,
            nox_args: load.nox_args,
            posargs: load.posargs,
            env: Vec::new(),
            color: output.stdout_theme.color,
            will_run_sessions: load.will_run,
            load_timeout: settings.run_options().load_timeout,
            cache_folder: user_cache_dir(),
        })?;
        validate_session_names(&settings, &manifest)?;
        notices.extend(manifest.notices.iter().cloned());
        if let HostMode::Process { why } = &manifest.mode {
            notices.push(format!("each session gets a nox process of its own: {why}"));
        }
        let options = run_options(&settings, &manifest, stops_by_flag, uses_learned_conflicts);
        let shard = shard.map(|shard| select_shard(&mut manifest, &options, shard)).transpose()?;
        let shard = shard.map(|(shard, notice)| {
            notices.push(notice);
            shard
        });
        let store_options = resolve_store_options(&settings);
        Ok(Self { host, manifest, options, shard, notices, store_options })
    }
}

/// Returns the options of a run: settings, then what the noxfile says where no flag does, and learned conflicts.
fn run_options(
    settings: &Settings,
    manifest: &NoxfileManifest,
    stops_by_flag: bool,
    uses_learned_conflicts: bool,
) -> RunOptions {
    let mut options = settings.run_options();
    if manifest.stop_on_first_error && !stops_by_flag {
        options.fail_fast.get_or_insert(FailFast::Wait);
    }
    if uses_learned_conflicts {
        options.learned_conflicts = TraceCache::load(&manifest.root.join(".noxide")).conflicts;
    }
    options
}

/// Reduces the queue to the sessions of one shard. Returns its facts for the record, and a notice.
///
/// Without history: every runner plans for itself, and does not know what others have run before.
fn select_shard(
    manifest: &mut NoxfileManifest,
    options: &RunOptions,
    shard: Shard,
) -> Result<(ShardMetadata, String), GraphError> {
    let plan = ShardPlan::new(manifest, options, &SessionHistory::default(), shard.count)?;
    let part = plan.parts.into_iter().nth(shard.index.get() - 1).unwrap_or_default();
    let sessions: Vec<_> = manifest.queue.iter().map(|id| manifest.sessions[id.0].name.clone()).collect();
    let notice = format!("shard {shard}: {} of {} sessions", part.sessions.len(), sessions.len());
    manifest.queue.retain(|id| part.sessions.contains(id));
    Ok((ShardMetadata { index: shard.index.get(), count: shard.count.get(), sessions }, notice))
}

fn private_nox_notice(python: &NoxPython) -> Option<String> {
    let NoxOrigin::Private { created: true } = python.origin else { return None };
    let folder = python.executable.parent().unwrap_or(&python.executable);
    Some(format!("no nox was found: noxide installed one with uv in {}", folder.display()))
}

/// Returns the directory whose settings apply: that of the noxfile.
pub(super) fn settings_root(noxfile: Option<&Path>) -> PathBuf {
    let folder = noxfile.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn locate_nox(settings: &Settings, root: &Path) -> Result<NoxPython, CliError> {
    let executable = std::env::current_exe().ok();
    Ok(find_nox(&NoxSearch {
        explicit: settings.nox.value.clone(),
        root: root.to_path_buf(),
        path_variable: std::env::var_os("PATH").unwrap_or_default(),
        sibling_folder: executable.as_deref().and_then(Path::parent).map(Path::to_path_buf),
        cache: user_cache_dir(),
    })?)
}

/// Returns the options of the store from settings, environment and defaults.
pub(super) fn resolve_store_options(settings: &Settings) -> CacheOptions {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    settings.cache_options(user_cache_dir().map(|folder| folder.join("store")), home.as_deref(), is_ci())
}

/// Returns the user's cache directory, shared between projects.
fn user_cache_dir() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("NOXIDE_CACHE_DIR").or_else(|| {
        if cfg!(target_os = "macos") {
            return variable("HOME").map(|home| home.join("Library/Caches/noxide"));
        }
        let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
        cache.map(|cache| cache.join("noxide"))
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
