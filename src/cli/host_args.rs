//! Flags that say how nox is found and started.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::nox_args::SelectionArgs;
use crate::config::{SettingsFlags, parse_duration};

/// Flags that say how nox is found and started.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Environments")]
pub struct HostArgs {
    /// The nox to use [default: the project's own] [env: NOXIDE_NOX]
    #[arg(long, value_name = "PATH")]
    pub(crate) nox: Option<PathBuf>,
    /// Give the noxfile so long to load [default: 1m] [env: NOXIDE_LOAD_TIMEOUT]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, hide_short_help = true)]
    pub(crate) load_timeout: Option<Duration>,
}

impl HostArgs {
    /// What the flags say of settings.
    pub fn settings_flags(&self) -> SettingsFlags {
        SettingsFlags { load_timeout: self.load_timeout, nox: self.nox.clone(), ..SettingsFlags::default() }
    }
}

/// Which sessions, and how nox is found: the flags of what loads a noxfile and runs nothing of it.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadArgs {
    /// Which sessions.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// How nox is found and started.
    #[command(flatten)]
    pub host: HostArgs,
}
