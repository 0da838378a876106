//! What stands on one side of a comparison: a run, a record file, a commit, a branch.

use std::path::Path;

use super::error::CliError;
use super::replay::find_run;
use crate::project::list_commits;
use crate::record::{ImportedRuns, RunRecord, RunStore};
use crate::report::{RunGroup, RunTimings};

/// How far back a branch is followed to a commit that has runs.
const MAX_COMMITS_BACK: usize = 500;

/// The runs that go by a name.
///
/// # Errors
/// When there is none.
pub(super) fn resolve_compare_target(name: &str, folder: Option<&RunStore>) -> Result<RunGroup, CliError> {
    let path = Path::new(name);
    if path.is_file() {
        let record = RunRecord::read(path).map_err(|error| CliError::InvalidInput(error.to_string()))?;
        return Ok(target_from_records(name, format!("run {}", record.run_id), &[record]));
    }
    if name == "imported" {
        return imported_target(folder);
    }
    let folder =
        folder.ok_or_else(|| CliError::InvalidInput("no run is recorded here: there is no .noxide".to_owned()))?;
    let runs = folder.run_ids();
    if name == "last" || runs.iter().any(|run| run.starts_with(name)) {
        let run = find_run(folder, name)?;
        let record = folder.read_record(&run).map_err(|error| CliError::InvalidInput(error.to_string()))?;
        return Ok(target_from_records(name, format!("run {run}"), &[record]));
    }
    let records = folder.newest_records(usize::MAX);
    let commits = list_commits(Path::new("."), name, MAX_COMMITS_BACK);
    let at = |commit: &str| -> Vec<RunRecord> {
        records.iter().filter(|record| record.commit.as_deref() == Some(commit)).cloned().collect()
    };
    let short = |commit: &str| commit.get(..12).unwrap_or(commit).to_owned();
    for (behind, commit) in commits.iter().enumerate() {
        let found = at(commit);
        if !found.is_empty() {
            let distance = if behind == 0 { String::new() } else { format!(", {behind} before its tip") };
            return Ok(target_from_records(name, format!("commit {}{distance}", short(commit)), &found));
        }
    }
    // Runs may be of commits that this clone does not have.
    let known = records.iter().filter_map(|record| record.commit.as_deref());
    let known: Vec<&str> = known.filter(|commit| name.len() >= 7 && commit.starts_with(name)).collect();
    match known.first() {
        Some(commit) => Ok(target_from_records(name, format!("commit {}", short(commit)), &at(commit))),
        None if commits.is_empty() => Err(CliError::InvalidInput(format!(
            "{name} is no run, no record file, and no commit or branch that Git knows"
        ))),
        None => Err(CliError::InvalidInput(format!(
            "no run is recorded of {name}, nor of the {MAX_COMMITS_BACK} commits before it"
        ))),
    }
}

/// Everything that was imported.
fn imported_target(folder: Option<&RunStore>) -> Result<RunGroup, CliError> {
    let imported = folder.map_or_else(|| Ok(ImportedRuns::default()), |folder| ImportedRuns::read(folder.path()));
    let imported = imported.map_err(|error| CliError::InvalidInput(error.to_string()))?;
    if imported.runs.is_empty() {
        return Err(CliError::InvalidInput("nothing was imported here: `noxide history import` does".to_owned()));
    }
    let runs = imported.runs.iter().map(RunTimings::from_imported_run).collect();
    Ok(RunGroup { name: "imported".to_owned(), description: "past CI runs".to_owned(), runs })
}

fn target_from_records(name: &str, means: String, records: &[RunRecord]) -> RunGroup {
    RunGroup { name: name.to_owned(), description: means, runs: records.iter().map(RunTimings::from_record).collect() }
}
