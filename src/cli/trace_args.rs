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
    pub(crate) selection: SelectionArgs,
    /// How environments are made.
    #[command(flatten)]
    pub(crate) environments: EnvironmentArgs,
    /// Write what keeps them apart into the settings
    #[arg(long, help_heading = "What follows", conflicts_with = "check")]
    pub(crate) apply: bool,
    /// Write nothing; exit with 1 when sessions race that nothing keeps apart, or a trace is incomplete
    #[arg(long, help_heading = "What follows")]
    pub(crate) check: bool,
    /// As text or json
    #[arg(long, value_name = "AS", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
    /// How nox is found and started.
    #[command(flatten)]
    pub(crate) host: HostArgs,
    /// What sessions get as session.posargs
    #[arg(last = true, value_name = "POSARGS", help_heading = "Arguments")]
    pub(crate) posargs: Vec<OsString>,
}
