//! `noxide history import`: session times of past CI runs, for the scheduler and for comparisons.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::json;

use super::error::{CliError, ErrorContext as _};
use super::exit_code::ExitCode;
use super::shared_args::OutputFormat;
use crate::output::OutputContext;
use crate::record::{ImportedRun, ImportedRuns, RunStore};
use crate::report::{fetch_pages, parse_import};
use crate::text::pluralize;

/// Largest file that is imported: no API response or log of nox is larger.
const MAX_IMPORT_BYTES: u64 = 64 << 20;

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
    #[command(args_override_self = true)]
    Import(ImportArgs),
}

/// Flags of `noxide history import`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImportArgs {
    /// Files, or URLs of the forge's API [env: NOXIDE_FORGE_TOKEN, SSL_CERT_FILE]
    #[arg(value_name = "FILE|URL", required = true, help_heading = "Sources")]
    pub(crate) sources: Vec<String>,
    /// Print the result as text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
}

/// Runs a subcommand of `noxide history`.
///
/// # Errors
/// When a source cannot be read, or the runs not be stored. Nothing is imported then.
pub(super) fn run(args: &HistoryArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    match &args.command {
        HistoryCommand::Import(args) => import_runs(args, output),
    }
}

fn import_runs(args: &ImportArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let (mut runs, mut skipped): (Vec<ImportedRun>, usize) = (Vec::new(), 0);
    for source in &args.sources {
        for (location, bytes) in read_source(source)? {
            let import = parse_import(&location, &bytes).map_err(|error| CliError::Import(error.to_string()))?;
            runs.extend(import.runs);
            skipped += import.skipped_entries;
        }
    }
    let store = RunStore::open(Path::new(".")).context("cannot store the imported runs")?;
    let mut imported = ImportedRuns::read(store.path()).context("cannot read the imported runs")?;
    let (read, jobs) = (runs.len(), runs.iter().map(|run| run.jobs.len()).sum::<usize>());
    let added = imported.add_runs(runs);
    imported.write(store.path()).context("cannot store the imported runs")?;
    let total = imported.runs.len();
    match args.format {
        OutputFormat::Json => output.print_json(&json!({
            "version": 1, "runs": read, "jobs": jobs, "added": added, "skipped_entries": skipped, "total_runs": total,
        })),
        OutputFormat::Text => {
            let skipped = match skipped {
                0 => String::new(),
                some => {
                    format!("; skipped {} (unfinished, cancelled, skipped or without a time)", pluralize(some, "entry"))
                }
            };
            let (read, jobs) = (pluralize(read, "run"), pluralize(jobs, "job"));
            output.print(&format!("read {read} with {jobs}, {added} of them new; {total} stored{skipped}\n"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a source: the bytes of a file, or the pages at a URL, each with its location.
fn read_source(source: &str) -> Result<Vec<(String, Vec<u8>)>, CliError> {
    if source.starts_with("http://") || source.starts_with("https://") {
        let token = std::env::var("NOXIDE_FORGE_TOKEN").ok().filter(|token| !token.is_empty());
        let certificates = match std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) {
            None => None,
            Some(path) => Some(fs_err::read(path).context("cannot read SSL_CERT_FILE")?),
        };
        let pages = fetch_pages(source, token.as_deref(), certificates.as_deref())
            .map_err(|error| CliError::Import(error.to_string()))?;
        return Ok(pages.into_iter().map(|page| (page.url, page.body)).collect());
    }
    let metadata = fs_err::metadata(source).context("cannot import")?;
    if !metadata.is_file() {
        return Err(CliError::Import(format!("{source}: not a file")));
    }
    if metadata.len() > MAX_IMPORT_BYTES {
        let limit = MAX_IMPORT_BYTES >> 20;
        return Err(CliError::Import(format!("{source}: {} bytes are more than {limit} MiB", metadata.len())));
    }
    Ok(vec![(source.to_owned(), fs_err::read(source).context("cannot import")?)])
}
