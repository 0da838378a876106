//! Flags of `noxide cache`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::cli::shared_args::{LoadArgs, LockFileArgs, OutputFormat};
use crate::config::{parse_duration, parse_memory};

/// Flags of `noxide cache`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct CacheArgs {
    /// The subcommand.
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

/// The subcommands of `noxide cache`.
#[derive(Subcommand, Clone, Debug, PartialEq, Eq)]
pub(crate) enum CacheCommand {
    /// Print the cache key of sessions
    Key(Box<CacheKeyArgs>),
    /// Restore the packages of uv.lock, or of sessions, to uv's cache
    Restore(CacheRestoreArgs),
    /// Save new packages of uv's cache to the store
    Save(CacheSaveArgs),
    /// Show the content of the store
    Status(CacheStatusArgs),
    /// Read every file of the store and report damage
    Verify(CacheVerifyArgs),
    /// Remove old and unused entries
    Prune(CachePruneArgs),
    /// Remove all entries, except those that a running process uses
    Clean(CacheCleanArgs),
    /// Print the directory of the store
    Dir,
}

/// Flags of `noxide cache key`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(mut_arg("locked", |flag| flag.help("Print the key for `noxide run --locked` [env: NOXIDE_LOCKED]")))]
pub(crate) struct CacheKeyArgs {
    /// Flags that select sessions and choose nox.
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// Print each session's own key and its inputs, and how they differ from the most similar stored inputs
    #[arg(long, help_heading = "Output")]
    pub(crate) explain: bool,
    /// Print the report as text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
    /// Flags that constrain installs.
    #[command(flatten)]
    pub(crate) lock_file: LockFileArgs,
}

/// Flags of `noxide cache restore`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(mut_arg("sessions", |flag| flag.help("Restore what these sessions install [default: all packages of uv.lock]")))]
#[command(mut_arg("locked", |flag| flag.help("With sessions: restore what `noxide run --locked` would install [env: NOXIDE_LOCKED]")))]
pub struct CacheRestoreArgs {
    /// Flags that select sessions; without any, the packages of uv.lock are restored.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Flags that constrain installs.
    #[command(flatten)]
    pub lock_file: LockFileArgs,
    /// With sessions: restore environments without a lock file that are younger than TIME, such as 1h [default: 0] [env: NOXIDE_MAX_AGE]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Installs")]
    pub max_age: Option<Duration>,
    /// Restore only the project's dependencies with this extra; repeatable
    #[arg(long, value_name = "EXTRA", help_heading = "Selection")]
    pub extra: Vec<String>,
    /// Restore only this dependency group; repeatable
    #[arg(long, value_name = "GROUP", help_heading = "Selection")]
    pub group: Vec<String>,
    /// Restore only this package and its dependencies; repeatable
    #[arg(long, value_name = "PACKAGE", help_heading = "Selection")]
    pub package: Vec<String>,
    /// Restore everything in the store, regardless of uv.lock
    #[arg(long, conflicts_with_all = ["extra", "group", "package"], help_heading = "Selection")]
    pub all: bool,
    /// Evaluate markers for this interpreter [default: that of .venv, otherwise python3 on PATH]
    #[arg(long, value_name = "PATH", help_heading = "Selection")]
    pub interpreter: Option<PathBuf>,
    /// Exit with 1 if a package is missing
    #[arg(long, help_heading = "Execution")]
    pub require: bool,
    /// Show what would be restored
    #[arg(long, help_heading = "Execution")]
    pub dry_run: bool,
    /// Flag for uv's cache.
    #[command(flatten)]
    pub uv: UvArgs,
    /// Print the report as text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub format: OutputFormat,
}

/// Flags of `noxide cache save`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(mut_arg("sessions", |flag| flag.help("Save what these sessions installed [default: everything in uv's cache]")))]
pub struct CacheSaveArgs {
    /// Flags that select sessions; without any, all of uv's cache is saved.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Flag for uv's cache.
    #[command(flatten)]
    pub uv: UvArgs,
    /// Print the report as text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub format: OutputFormat,
}

/// Flags of `noxide cache status`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheStatusArgs {
    /// Print the report as text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
}

/// Flags of `noxide cache verify`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheVerifyArgs {
    /// Quarantine damaged entries and download their wheels again with uv
    #[arg(long, help_heading = "Execution")]
    pub(crate) repair: bool,
    /// Print the report as text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
}

/// Flags of `noxide cache prune`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CachePruneArgs {
    /// Show what would be removed
    #[arg(long, help_heading = "Execution")]
    pub(crate) dry_run: bool,
    /// Limit the store to this size, such as 10GB [default: 20GB]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory, help_heading = "Limits")]
    pub(crate) max_size: Option<u64>,
    /// Remove entries that were not used for this long, such as 30d [default: 60d]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub(crate) max_unused: Option<Duration>,
    /// Print the report as text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
}

/// Flags of `noxide cache clean`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheCleanArgs {
    /// Show what would be removed
    #[arg(long, help_heading = "Execution")]
    pub(crate) dry_run: bool,
    /// Print the report as text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
}

/// Flag for uv's cache.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Environments")]
pub struct UvArgs {
    /// Use this directory as uv's cache [default: as uv reports] [env: UV_CACHE_DIR]
    #[arg(long, value_name = "DIR")]
    pub(crate) uv_cache: Option<PathBuf>,
}
