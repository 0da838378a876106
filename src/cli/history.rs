//! `noxide history import`: session times of past CI runs, for the scheduler and for comparisons.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::json;

use super::error::{CliError, ErrorContext as _};
use super::exit_code::ExitCode;
use super::shared_args::{OutputFormat, last_run_data_dir};
use crate::output::OutputContext;
use crate::record::{ImportedRuns, RunStore};
use crate::report::{ImportSummary, ImportedHistory, import_sources};

/// Flags of `noxide history`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct HistoryArgs {
    /// The subcommand.
    #[command(subcommand)]
    pub(crate) command: HistoryCommand,
}

/// Subcommands of `noxide history`.
#[derive(Subcommand, Clone, Debug, PartialEq, Eq)]
pub(crate) enum HistoryCommand {
    /// Import past CI runs from responses of a forge's API, commit statuses or logs of nox
    Import(ImportArgs),
}

/// Flags of `noxide history import`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImportArgs {
    /// Files, or URLs of the forge's API; the forge gets the token in NOXIDE_FORGE_TOKEN, and SSL_CERT_FILE names trusted certificates
    #[arg(value_name = "FILE|URL", required = true, help_heading = "Sources")]
    pub(crate) sources: Vec<String>,
    /// Print the result as text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
}

/// Runs a subcommand of `noxide history`.
///
/// # Errors
/// When a source cannot be read, or the runs cannot be stored. Nothing is imported then.
pub(super) fn run(args: &HistoryArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    match &args.command {
        HistoryCommand::Import(args) => import_runs(args, output),
    }
}

fn import_runs(args: &ImportArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let ImportedHistory { runs, skipped_entries } = import_sources(&args.sources)?;
    let store = RunStore::open(last_run_data_dir(Path::new("."))).context("cannot store the imported runs")?;
    let mut imported = ImportedRuns::read(store.path()).context("cannot read the imported runs")?;
    let (read, jobs) = (runs.len(), runs.iter().map(|run| run.jobs.len()).sum::<usize>());
    let added = imported.add_runs(runs);
    imported.write(store.path()).context("cannot store the imported runs")?;
    let total_runs = imported.runs.len();
    let summary = ImportSummary { version: 1, runs: read, jobs, added, skipped_entries, total_runs };
    args.format.print(output, || summary.to_text(), || json!(summary));
    Ok(ExitCode::SUCCESS)
}
