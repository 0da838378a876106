//! Flags of `noxide cache`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::cli::shared_args::DependencyArgs;
use crate::cli::shared_args::LoadArgs;
use crate::cli::shared_args::OutputFormat;
use crate::config::{ValueParseError, parse_age, parse_memory};

/// Flags of `noxide cache`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct CacheArgs {
    /// What to do with the store.
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

/// The subcommands of `noxide cache`.
#[derive(Subcommand, Clone, Debug, PartialEq, Eq)]
#[command(args_override_self = true)]
pub(crate) enum CacheCommand {
    /// Print the key of what sessions install
    #[command(args_override_self = true)]
    Key(Box<CacheKeyArgs>),
    /// Put what the lock names into uv's cache
    #[command(args_override_self = true)]
    Restore(CacheRestoreArgs),
    /// Take in what uv's cache holds and the store does not
    #[command(args_override_self = true)]
    Save(CacheSaveArgs),
    /// Say what the store holds
    #[command(args_override_self = true)]
    Status(CacheStatusArgs),
    /// Read every byte of the store and name all that is damaged
    #[command(args_override_self = true)]
    Verify(CacheVerifyArgs),
    /// Remove what is old, unused or too much
    #[command(args_override_self = true)]
    Prune(CachePruneArgs),
}

/// Flags of `noxide cache key`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheKeyArgs {
    /// Which sessions, of which noxfile, by which nox.
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// Print each fact, and what differs from the nearest older state
    #[arg(long, help_heading = "Output")]
    pub(crate) explain: bool,
    /// As text or json
    #[arg(long, value_name = "AS", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
    /// How dependencies are had.
    #[command(flatten)]
    pub(crate) dependencies: DependencyArgs,
}

/// Flags of `noxide cache restore`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheRestoreArgs {
    /// Which sessions; without a choice, what uv.lock names.
    #[command(flatten)]
    pub load: LoadArgs,
    /// How dependencies are had.
    #[command(flatten)]
    pub dependencies: DependencyArgs,
    /// Only what this extra of the project needs, with what the project itself needs; may be repeated
    #[arg(long, value_name = "EXTRA", help_heading = "Selection")]
    pub extra: Vec<String>,
    /// Only what this dependency group needs; may be repeated
    #[arg(long, value_name = "GROUP", help_heading = "Selection")]
    pub group: Vec<String>,
    /// Only what this package needs, and itself; may be repeated
    #[arg(long, value_name = "PACKAGE", help_heading = "Selection")]
    pub package: Vec<String>,
    /// Everything in the store, whatever the lock says
    #[arg(long, conflicts_with_all = ["extra", "group", "package"], help_heading = "Selection")]
    pub all: bool,
    /// The interpreter whose environment is made [default: the project's, else python3 on PATH]
    #[arg(long, value_name = "PATH", help_heading = "Selection")]
    pub interpreter: Option<PathBuf>,
    /// Exit with 1 when something wanted could not be had
    #[arg(long, help_heading = "Guard")]
    pub require: bool,
    /// Show what would be put down, and put nothing down
    #[arg(long, help_heading = "Guard")]
    pub dry_run: bool,
    /// Where uv's cache is.
    #[command(flatten)]
    pub uv: UvArgs,
    /// As text or json
    #[arg(long, value_name = "AS", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub format: OutputFormat,
}

/// Flags of `noxide cache save`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheSaveArgs {
    /// Which sessions; without a choice, all of uv's cache.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Where uv's cache is.
    #[command(flatten)]
    pub uv: UvArgs,
    /// As text or json
    #[arg(long, value_name = "AS", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub format: OutputFormat,
}

/// Flags of `noxide cache status`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheStatusArgs {
    /// As text or json
    #[arg(long, value_name = "AS", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
}

/// Flags of `noxide cache verify`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheVerifyArgs {
    /// Put damaged entries aside and have uv fetch them anew
    #[arg(long, help_heading = "Guard")]
    pub(crate) repair: bool,
    /// As text or json
    #[arg(long, value_name = "AS", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
}

/// Flags of `noxide cache prune`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CachePruneArgs {
    /// Show what would go, and remove nothing
    #[arg(long, help_heading = "Guard")]
    pub(crate) dry_run: bool,
    /// Leave at most so many bytes, such as 10GB [default: 20GB]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory, help_heading = "Selection")]
    pub(crate) max_size: Option<u64>,
    /// Remove what was not used for so long, such as 30d [default: 60d]
    #[arg(long, value_name = "TIME", value_parser = parse_unused_age, help_heading = "Selection")]
    pub(crate) max_unused: Option<Duration>,
    /// As text or json
    #[arg(long, value_name = "AS", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
}

/// Where uv's cache is.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Environments")]
pub struct UvArgs {
    /// uv's cache [default: what uv says] [env: UV_CACHE_DIR]
    #[arg(long, value_name = "DIR")]
    pub(crate) uv_cache: Option<PathBuf>,
}

fn parse_unused_age(text: &str) -> Result<Duration, ValueParseError> {
    parse_age(text)
}
