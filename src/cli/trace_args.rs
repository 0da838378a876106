//! Flags of `noxide trace`.

use std::ffi::OsString;

use clap::Args;

use super::host_args::HostArgs;
use super::nox_args::{EnvironmentArgs, SelectionArgs};
use super::output_format::OutputFormat;

/// Flags of `noxide trace`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceArgs {
    /// Which sessions.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// How environments are made.
    #[command(flatten)]
    pub environments: EnvironmentArgs,
    /// Write what keeps them apart into the settings
    #[arg(long, help_heading = "What follows", conflicts_with = "check")]
    pub apply: bool,
    /// Write nothing; exit with 1 when sessions race that nothing keeps apart, or a trace is incomplete
    #[arg(long, help_heading = "What follows")]
    pub check: bool,
    /// As text or json
    #[arg(long, value_name = "AS", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub format: OutputFormat,
    /// How nox is found and started.
    #[command(flatten)]
    pub host: HostArgs,
    /// What sessions get as session.posargs
    #[arg(last = true, value_name = "POSARGS", help_heading = "Arguments")]
    pub posargs: Vec<OsString>,
}
