//! `noxide history import`: what past CI runs took, kept for the scheduler and for comparisons.

use std::path::Path;

use serde_json::json;

use super::args::Format;
use super::failure::Failure;
use super::history_args::{HistoryArgs, HistoryCommand, ImportArgs};
use super::listing::print;
use crate::record::{Folder, Imported, ImportedRun};
use crate::report::{fetch, read};

/// Files larger than that are no answer and no log of nox.
const LARGEST: u64 = 64 << 20;

/// Carries out what is wanted of the history.
///
/// # Errors
/// When a source cannot be had or read, or the folder not be written to. Nothing is taken in then.
pub(super) fn history(args: &HistoryArgs) -> Result<u8, Failure> {
    match &args.command {
        HistoryCommand::Import(args) => import(args),
    }
}

fn import(args: &ImportArgs) -> Result<u8, Failure> {
    let (mut runs, mut passed_over): (Vec<ImportedRun>, usize) = (Vec::new(), 0);
    for source in &args.sources {
        for (place, bytes) in answers(source)? {
            let import = read(&place, &bytes).map_err(|error| Failure::Import(error.to_string()))?;
            runs.extend(import.runs);
            passed_over += import.passed_over;
        }
    }
    let system = |source| Failure::System { what: "cannot keep what was imported".to_owned(), source };
    let folder = Folder::open(Path::new(".")).map_err(system)?;
    let mut imported = Imported::read(folder.path()).map_err(|error| Failure::Import(error.to_string()))?;
    let (read, jobs) = (runs.len(), runs.iter().map(|run| run.jobs.len()).sum::<usize>());
    let new = imported.add(runs);
    imported.write(folder.path()).map_err(system)?;
    print(&match args.format {
        Format::Json => {
            let document = json!({
                "version": 1, "runs": read, "jobs": jobs, "new": new, "passed_over": passed_over,
                "kept": imported.runs.len(),
            });
            format!("{document:#}\n")
        }
        Format::Text => {
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
fn answers(source: &str) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    if source.starts_with("http://") || source.starts_with("https://") {
        let token = std::env::var("NOXIDE_FORGE_TOKEN").ok().filter(|token| !token.is_empty());
        let certificates = match std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) {
            None => None,
            Some(path) => Some(
                fs_err::read(path)
                    .map_err(|source| Failure::System { what: "cannot read SSL_CERT_FILE".to_owned(), source })?,
            ),
        };
        let fetched = fetch(source, token.as_deref(), certificates.as_deref());
        let fetched = fetched.map_err(|error| Failure::Import(error.to_string()))?;
        return Ok(fetched.into_iter().map(|answer| (answer.address, answer.bytes)).collect());
    }
    let named = |why: String| Failure::Import(format!("{source}: {why}"));
    let facts = fs_err::metadata(source).map_err(|error| Failure::Import(error.to_string()))?;
    if !facts.is_file() {
        return Err(named("this is no file".to_owned()));
    }
    if facts.len() > LARGEST {
        return Err(named(format!("it has {} bytes, which is too much", facts.len())));
    }
    let bytes = fs_err::read(source).map_err(|error| Failure::Import(error.to_string()))?;
    Ok(vec![(source.to_owned(), bytes)])
}
