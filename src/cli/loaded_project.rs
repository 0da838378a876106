//! Loaded project: settings resolved, nox located, the noxfile loaded by the host.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::error::{CliError, ErrorContext as _};
use super::shared_args::LoadArgs;
use crate::cache::StoreOptions;
use crate::config::{Settings, SettingsFlags, load_settings, settings_root, user_cache_dir};
use crate::output::{OutputContext, PhaseLength, is_ci};
use crate::project::{
    Host, HostOptions, NoxPython, NoxSearch, NoxfileManifest, environment_variable, find_installed_nox,
    install_private_nox,
};
use crate::provision::{CacheMode, ProvisionInputs};
use crate::record::ShardMetadata;
use crate::run::process::{SecretRedactor, SignalGuard, become_subreaper, kill_run_processes};
use crate::run::{RunOptions, Shard};
use crate::trace::{TraceCache, TraceMode};

/// A project whose noxfile is loaded.
pub(super) struct LoadedProject {
    /// The host process that has loaded the noxfile.
    pub(super) host: Host,
    /// Sessions and options that the noxfile declares.
    pub(super) manifest: NoxfileManifest,
    /// Options of a run, from settings and the noxfile.
    pub(super) options: RunOptions,
    pub(super) shard: Option<ShardMetadata>,
    /// Messages for the user.
    pub(super) notices: Vec<String>,
    /// The user's cache directory.
    pub(super) user_cache_dir: Option<PathBuf>,
    store_options: StoreOptions,
    /// Signal handling. Declared after the host, so that signals are still handled while the host is dropped.
    pub(super) signals: SignalGuard,
}

/// Inputs of loading a project.
pub(super) struct LoadOptions<'a> {
    /// Settings passed as flags.
    pub(super) flags: SettingsFlags,
    /// The noxfile, if a flag names one.
    pub(super) noxfile: Option<&'a Path>,
    /// Flags for nox; posargs are separate.
    pub(super) nox_flags: Vec<OsString>,
    /// Arguments after `--`.
    pub(super) posargs: Vec<OsString>,
    /// Whether sessions will be run.
    pub(super) will_run: bool,
    /// The shard to select.
    pub(super) shard: Option<Shard>,
    /// Whether sessions with a conflict found by a trace are kept from overlapping.
    pub(super) uses_learned_conflicts: bool,
}

impl<'a> LoadOptions<'a> {
    /// Options of commands that run no session.
    pub(super) fn from_args(load: &'a LoadArgs) -> Self {
        Self {
            flags: load.host.settings_flags(),
            noxfile: load.selection.noxfile.as_deref().map(Path::new),
            nox_flags: load.selection.nox_flags(),
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
    /// When settings are invalid, there is no nox, the noxfile does not load, or a signal arrives.
    pub(super) fn load(options: LoadOptions<'_>, output: &OutputContext) -> Result<Self, CliError> {
        // Before the host starts, so that its orphans become children of noxide.
        become_subreaper();
        let signals = SignalGuard::install().context("cannot catch signals")?;
        let loaded = ProjectParts::load(options, output);
        if let Some(signal) = signals.finish_loading() {
            drop(loaded);
            kill_run_processes(None, None);
            return Err(CliError::Interrupted { signal, during: "while the noxfile was loading; no session was run" });
        }
        let ProjectParts { host, manifest, options, shard, notices, store_options } = loaded?;
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

    /// Closes the host, and kills processes that exit hooks of the noxfile started.
    pub(super) fn close(self) {
        self.host.close();
        kill_run_processes(None, None);
    }
}

/// The parts of a loaded project except its signal handling.
struct ProjectParts {
    host: Host,
    manifest: NoxfileManifest,
    options: RunOptions,
    shard: Option<ShardMetadata>,
    notices: Vec<String>,
    store_options: StoreOptions,
}

impl ProjectParts {
    fn load(load: LoadOptions<'_>, output: &OutputContext) -> Result<Self, CliError> {
        let root = settings_root(load.noxfile);
        let file = load_settings(&root).map_err(CliError::Settings)?;
        let settings =
            Settings::resolve(&load.flags, &|name| std::env::var_os(name), file).map_err(CliError::Settings)?;
        let python = find_or_install_nox(settings.nox.value.clone(), &root, output)?;
        let mut notices: Vec<String> = python.install_notice().into_iter().collect();
        let noxfile = load.noxfile.unwrap_or(Path::new("noxfile.py")).display();
        let phase = output.show_phase(&format!("loading {noxfile}"), PhaseLength::Unknown);
        let uses_cache = settings.cache.value != CacheMode::Off;
        let (host, mut manifest) = Host::start(HostOptions {
            root: PathBuf::from("."),
            python,
            nox_flags: load.nox_flags,
            posargs: load.posargs,
            env: Vec::new(),
            color: output.stdout_theme.color,
            will_run_sessions: load.will_run,
            load_timeout: settings.run_options().load_timeout,
            // Code that a run without the signing key compiled is not executed in a run that has the key.
            cache_directory: user_cache_dir().filter(|_| uses_cache && signing_key().is_none()),
        })?;
        drop(phase);
        let redactor = SecretRedactor::from_environment([], &settings.run_options().secret_patterns);
        output.print_noxfile_output(&redactor.redact_text(&host.loading_output()));
        let errors = settings.validate_session_names(&manifest.accepted_names());
        if !errors.is_empty() {
            return Err(CliError::Settings(errors));
        }
        notices.extend(manifest.all_notices());
        let mut options = settings.run_options();
        options.apply_noxfile(&manifest, load.flags.fail_fast.is_some());
        if load.uses_learned_conflicts && options.trace_mode != TraceMode::Never {
            options.learned_conflicts = TraceCache::load(&manifest.run_data_dir()).conflicts;
        }
        let shard = load.shard.map(|shard| shard.select_sessions(&mut manifest, &options)).transpose()?;
        let shard = shard.map(|(shard, notice)| {
            notices.push(notice);
            shard
        });
        let store_options = resolve_store_options(&settings);
        Ok(Self { host, manifest, options, shard, notices, store_options })
    }
}

/// Finds nox, or installs it into noxide's private environment, which takes a while.
///
/// # Errors
/// When there is none and it cannot be installed.
pub(super) fn find_or_install_nox(
    explicit: Option<PathBuf>,
    root: &Path,
    output: &OutputContext,
) -> Result<NoxPython, CliError> {
    let search = NoxSearch::from_environment(explicit, root, user_cache_dir());
    if let Some(python) = find_installed_nox(&search)? {
        return Ok(python);
    }
    let directory = search.private_environment().unwrap_or_default();
    let text = format!("no nox was found: installing nox and uv, once, in {}", directory.display());
    let _phase = output.show_phase(&text, PhaseLength::Long);
    Ok(install_private_nox(&search)?)
}

/// Returns the options of the store from settings, environment and defaults.
pub(super) fn resolve_store_options(settings: &Settings) -> StoreOptions {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    StoreOptions {
        signer: signing_key().map(|key| StoreOptions::signer_id(&key)),
        ..settings.store_options(user_cache_dir().map(|directory| directory.join("store")), home.as_deref(), is_ci())
    }
}

/// Returns what masks the secrets of noxide's environment, those of the setting `secrets` included as far as the settings
/// of the working directory can be read.
pub(super) fn environment_redactor() -> SecretRedactor {
    let file = load_settings(Path::new(".")).ok();
    let resolve = |file| Settings::resolve(&SettingsFlags::default(), &|name| std::env::var_os(name), file).ok();
    let patterns = file.and_then(resolve).map(|settings| settings.run_options().secret_patterns).unwrap_or_default();
    SecretRedactor::from_environment([], &patterns)
}

fn signing_key() -> Option<String> {
    environment_variable("NOXIDE_CACHE_SIGNING_KEY").filter(|key| !key.is_empty())
}
