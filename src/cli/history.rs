//! `noxide history import`: what past CI runs took, kept for the scheduler and for comparisons.

use std::path::Path;

use serde_json::json;

use super::args::OutputFormat;
use super::error::CliError;
use super::history_args::{HistoryArgs, HistoryCommand, ImportArgs};
use super::list::print_stdout;
use crate::record::{ImportedRun, ImportedRuns, RunStore};
use crate::report::{fetch_pages, parse_import};

/// Files larger than that are no answer and no log of nox.
const MAX_IMPORT_BYTES: u64 = 64 << 20;

/// Carries out what is wanted of the history.
///
/// # Errors
/// When a source cannot be had or read, or the folder not be written to. Nothing is taken in then.
pub(super) fn run_history_command(args: &HistoryArgs) -> Result<u8, CliError> {
    match &args.command {
        HistoryCommand::Import(args) => import_runs(args),
    }
}

fn import_runs(args: &ImportArgs) -> Result<u8, CliError> {
    let (mut runs, mut passed_over): (Vec<ImportedRun>, usize) = (Vec::new(), 0);
    for source in &args.sources {
        for (place, bytes) in read_source(source)? {
            let import = parse_import(&place, &bytes).map_err(|error| CliError::Import(error.to_string()))?;
            runs.extend(import.runs);
            passed_over += import.skipped_entries;
        }
    }
    let system = |source| CliError::Io { context: "cannot keep what was imported".to_owned(), source };
    let folder = RunStore::open(Path::new(".")).map_err(system)?;
    let mut imported = ImportedRuns::read(folder.path()).map_err(|error| CliError::Import(error.to_string()))?;
    let (read, jobs) = (runs.len(), runs.iter().map(|run| run.jobs.len()).sum::<usize>());
    let new = imported.add_runs(runs);
    imported.write(folder.path()).map_err(system)?;
    print_stdout(&match args.format {
        OutputFormat::Json => {
            let document = json!({
                "version": 1, "runs": read, "jobs": jobs, "new": new, "passed_over": passed_over,
                "kept": imported.runs.len(),
            });
            format!("{document:#}\n")
        }
        OutputFormat::Text => {
            let over = match passed_over {
                0 => String::new(),
                some => format!("; {some} entries say nothing (not over, cancelled, skipped or without a time)"),
            };
            format!("{read} runs with {jobs} jobs read, {new} of them new; {} kept{over}\n", imported.runs.len())
        }
    });
    Ok(0)
}

/// What a source says: a file's bytes, or the answers at an address.
fn read_source(source: &str) -> Result<Vec<(String, Vec<u8>)>, CliError> {
    if source.starts_with("http://") || source.starts_with("https://") {
        let token = std::env::var("NOXIDE_FORGE_TOKEN").ok().filter(|token| !token.is_empty());
        let certificates = match std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) {
            None => None,
            Some(path) => Some(
                fs_err::read(path)
                    .map_err(|source| CliError::Io { context: "cannot read SSL_CERT_FILE".to_owned(), source })?,
            ),
        };
        let fetched = fetch_pages(source, token.as_deref(), certificates.as_deref());
        let fetched = fetched.map_err(|error| CliError::Import(error.to_string()))?;
        return Ok(fetched.into_iter().map(|answer| (answer.url, answer.body)).collect());
    }
    let named = |why: String| CliError::Import(format!("{source}: {why}"));
    let facts = fs_err::metadata(source).map_err(|error| CliError::Import(error.to_string()))?;
    if !facts.is_file() {
        return Err(named("this is no file".to_owned()));
    }
    if facts.len() > MAX_IMPORT_BYTES {
        return Err(named(format!("it has {} bytes, which is too much", facts.len())));
    }
    let bytes = fs_err::read(source).map_err(|error| CliError::Import(error.to_string()))?;
    Ok(vec![(source.to_owned(), bytes)])
}
