//! Flags that several subcommands share: output format, session selection, choice of nox, installs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::error::CliError;
use crate::config::{SettingsFlags, parse_duration, user_cache_dir};
use crate::output::OutputContext;
use crate::project::SelectionArgs;
use crate::provision::CacheMode;
use crate::record::{RunLookupError, RunStore, find_run_data_dir};
use crate::run::NamedChoice;

/// Format of a command's result.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON document with a `version` key.
    Json,
}

impl OutputFormat {
    /// Prints a result in this format.
    pub(super) fn print(self, output: &OutputContext, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) {
        match self {
            Self::Text => output.print(&text()),
            Self::Json => output.print_json(&json()),
        }
    }
}

/// Returns a parser that accepts the names of a choice.
pub(super) fn choice_parser<T: NamedChoice + Send + Sync>() -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(T::CHOICES.iter().map(|(name, _)| *name))
        .try_map(|name| T::from_name(&name).ok_or("not one of the possible values"))
}

/// Returns the run data directory of a project's last run, for subcommands that do not load the noxfile.
pub(super) fn last_run_data_dir(root: &Path) -> PathBuf {
    find_run_data_dir(root, user_cache_dir().as_deref())
}

/// Opens the recorded runs of a project, for subcommands that do not load the noxfile.
///
/// # Errors
/// When there are none.
pub(super) fn open_recorded_runs(root: &Path) -> Result<RunStore, CliError> {
    let no_runs = || RunLookupError::NoRuns { dir: root.to_path_buf() };
    Ok(RunStore::open_existing(last_run_data_dir(root)).ok_or_else(no_runs)?)
}

/// Flags that choose and start nox.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Environments")]
pub struct HostArgs {
    /// Use this nox [default: from .venv, PATH or noxide's environment, then python -m nox, else a private one] [env: NOXIDE_NOX]
    #[arg(long, value_name = "PATH")]
    pub(crate) nox: Option<PathBuf>,
    /// Stop if the noxfile takes longer to load [default: 1m] [env: NOXIDE_LOAD_TIMEOUT]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, hide_short_help = true)]
    pub(crate) load_timeout: Option<Duration>,
}

impl HostArgs {
    /// Returns the settings that these flags override.
    pub fn settings_flags(&self) -> SettingsFlags {
        SettingsFlags { load_timeout: self.load_timeout, nox: self.nox.clone(), ..SettingsFlags::default() }
    }
}

/// Flags of the subcommands that load a noxfile without running sessions.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadArgs {
    /// Flags that select sessions.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Flags that choose nox.
    #[command(flatten)]
    pub host: HostArgs,
}

/// Flags that control how packages are cached and resolved.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Installs")]
pub struct DependencyArgs {
    /// Use the package cache and skip unchanged installs: auto, off or require [default: auto] [env: NOXIDE_CACHE]
    #[arg(long, value_name = "MODE", hide_possible_values = true, value_parser = choice_parser::<CacheMode>())]
    pub(crate) cache: Option<CacheMode>,
    /// Flags that constrain installs.
    #[command(flatten)]
    pub(crate) lock_file: LockFileArgs,
    /// Run an install offline if the same install succeeded less than TIME ago, such as 1h; also cache environments of projects without a lock file [default: 0] [env: NOXIDE_MAX_AGE]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) max_age: Option<Duration>,
}

/// Flags that constrain installs to the lock file.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Installs")]
pub struct LockFileArgs {
    /// Constrain installs to the versions in uv.lock [env: NOXIDE_LOCKED]
    #[arg(long, overrides_with = "no_locked")]
    pub(crate) locked: bool,
    /// Same as without --locked, also if NOXIDE_LOCKED or the setting `locked` is set
    #[arg(long, overrides_with = "locked", hide_short_help = true)]
    pub(crate) no_locked: bool,
}

impl LockFileArgs {
    /// Returns whether installs are constrained to uv.lock; `None` without a flag.
    pub(crate) fn locked_override(&self) -> Option<bool> {
        (self.locked || self.no_locked).then_some(self.locked)
    }
}
