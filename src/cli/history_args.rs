//! The flags of `noxide history`.

use clap::{Args, Subcommand};

use super::output_format::OutputFormat;

/// Flags of `noxide history`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct HistoryArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: HistoryCommand,
}

/// What is done with the history.
#[derive(Subcommand, Clone, Debug, PartialEq, Eq)]
pub(crate) enum HistoryCommand {
    /// Take in what past CI runs took: answers of a forge's API, commit statuses, logs of nox
    #[command(args_override_self = true)]
    Import(ImportArgs),
}

/// Flags of `noxide history import`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImportArgs {
    /// Files, or addresses of the forge's API [env: NOXIDE_FORGE_TOKEN, SSL_CERT_FILE]
    #[arg(value_name = "FILE|URL", required = true, help_heading = "Sources")]
    pub(crate) sources: Vec<String>,
    /// The result as text or json
    #[arg(long, value_name = "AS", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
}
