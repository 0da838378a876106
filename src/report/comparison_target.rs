//! One side of a comparison: a run, a record file, a commit, a branch, or all imported runs.

use std::io;
use std::path::Path;

use super::comparison::{RunGroup, RunTimings};
use crate::record::{ImportedRuns, RunLookupError, RunRecord, RunStore};

/// Errors resolving one side of a comparison to runs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComparisonTargetError {
    /// The run cannot be found or read.
    #[error(transparent)]
    Run(#[from] RunLookupError),
    /// The imported runs cannot be read.
    #[error("cannot read the imported runs: {0}")]
    Imported(#[from] io::Error),
    /// Nothing was imported.
    #[error("no runs were imported; import them with `noxide history import`")]
    NothingImported,
    /// The name matches nothing.
    #[error("'{0}' is not a run, a record file, a commit or a branch")]
    Unknown(String),
    /// Neither the commit nor its ancestors have a recorded run.
    #[error("no run is recorded for '{name}' or the {searched} commits before it")]
    NoRunOfCommit {
        /// The name.
        name: String,
        /// Number of ancestors that were searched.
        searched: usize,
    },
}

/// Resolves a name to its runs; `list_commits` returns a commit and its ancestors, newest first.
///
/// # Errors
/// When the name matches no runs, or their records cannot be read.
pub(crate) fn resolve_comparison_target(
    name: &str,
    store: Option<&RunStore>,
    list_commits: &dyn Fn(&str) -> Vec<String>,
) -> Result<RunGroup, ComparisonTargetError> {
    if Path::new(name).is_file() {
        let (record, _) = RunStore::load_run(store, name)?;
        return Ok(group_from_records(name, format!("run {}", record.run_id), &[record]));
    }
    if name == "imported" {
        return imported_group(store);
    }
    let store = store.ok_or_else(|| RunLookupError::NoRuns { dir: ".".into() })?;
    if name == "last" || store.run_ids().iter().any(|run| run.starts_with(name)) {
        let run = store.find_run(name)?;
        let record = store.read_record(&run).map_err(RunLookupError::Unreadable)?;
        return Ok(group_from_records(name, format!("run {run}"), &[record]));
    }
    let records = store.newest_records(usize::MAX);
    let records_of_commit = |commit: &str| -> Vec<RunRecord> {
        records.iter().filter(|record| record.commit.as_deref() == Some(commit)).cloned().collect()
    };
    let short = |commit: &str| commit.get(..12).unwrap_or(commit).to_owned();
    let commits = list_commits(name);
    for (distance, commit) in commits.iter().enumerate() {
        let found = records_of_commit(commit);
        if !found.is_empty() {
            let suffix = if distance == 0 { String::new() } else { format!(", {distance} before its tip") };
            return Ok(group_from_records(name, format!("commit {}{suffix}", short(commit)), &found));
        }
    }
    // A run may be of a commit that this clone does not contain.
    let recorded = records.iter().filter_map(|record| record.commit.as_deref());
    let mut recorded = recorded.filter(|commit| name.len() >= 7 && commit.starts_with(name));
    match recorded.next() {
        Some(commit) => Ok(group_from_records(name, format!("commit {}", short(commit)), &records_of_commit(commit))),
        None if commits.is_empty() => Err(ComparisonTargetError::Unknown(name.to_owned())),
        None => Err(ComparisonTargetError::NoRunOfCommit { name: name.to_owned(), searched: commits.len() }),
    }
}

fn imported_group(store: Option<&RunStore>) -> Result<RunGroup, ComparisonTargetError> {
    let imported = store.map_or_else(|| Ok(ImportedRuns::default()), |store| ImportedRuns::read(store.path()))?;
    if imported.runs.is_empty() {
        return Err(ComparisonTargetError::NothingImported);
    }
    let runs = imported.runs.iter().map(RunTimings::from_imported_run).collect();
    Ok(RunGroup { name: "imported".to_owned(), description: "past CI runs".to_owned(), runs })
}

fn group_from_records(name: &str, description: String, records: &[RunRecord]) -> RunGroup {
    RunGroup { name: name.to_owned(), description, runs: records.iter().map(RunTimings::from_record).collect() }
}
