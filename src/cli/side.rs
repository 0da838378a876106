//! What stands on one side of a comparison: a run, a record file, a commit, a branch.

use std::path::Path;

use super::failure::Failure;
use super::replay::find;
use crate::project::commits_of;
use crate::record::{Folder, Imported, Record};
use crate::report::{Side, Timings};

/// How far back a branch is followed to a commit that has runs.
const BACK: usize = 500;

/// The runs that go by a name.
///
/// # Errors
/// When there is none.
pub(super) fn side(name: &str, folder: Option<&Folder>) -> Result<Side, Failure> {
    let path = Path::new(name);
    if path.is_file() {
        let record = Record::read(path).map_err(|error| Failure::NoRun(error.to_string()))?;
        return Ok(of(name, format!("run {}", record.run), &[record]));
    }
    if name == "imported" {
        return imported(folder);
    }
    let folder = folder.ok_or_else(|| Failure::NoRun("no run is recorded here: there is no .noxide".to_owned()))?;
    let runs = folder.runs();
    if name == "last" || runs.iter().any(|run| run.starts_with(name)) {
        let run = find(folder, name)?;
        let record = folder.record(&run).map_err(|error| Failure::NoRun(error.to_string()))?;
        return Ok(of(name, format!("run {run}"), &[record]));
    }
    let records = folder.newest(usize::MAX);
    let commits = commits_of(Path::new("."), name, BACK);
    let at = |commit: &str| -> Vec<Record> {
        records.iter().filter(|record| record.commit.as_deref() == Some(commit)).cloned().collect()
    };
    let short = |commit: &str| commit.get(..12).unwrap_or(commit).to_owned();
    for (behind, commit) in commits.iter().enumerate() {
        let found = at(commit);
        if !found.is_empty() {
            let distance = if behind == 0 { String::new() } else { format!(", {behind} before its tip") };
            return Ok(of(name, format!("commit {}{distance}", short(commit)), &found));
        }
    }
    // Runs may be of commits that this clone does not have.
    let known = records.iter().filter_map(|record| record.commit.as_deref());
    let known: Vec<&str> = known.filter(|commit| name.len() >= 7 && commit.starts_with(name)).collect();
    match known.first() {
        Some(commit) => Ok(of(name, format!("commit {}", short(commit)), &at(commit))),
        None if commits.is_empty() => {
            Err(Failure::NoRun(format!("{name} is no run, no record file, and no commit or branch that Git knows")))
        }
        None => Err(Failure::NoRun(format!("no run is recorded of {name}, nor of the {BACK} commits before it"))),
    }
}

/// Everything that was imported.
fn imported(folder: Option<&Folder>) -> Result<Side, Failure> {
    let imported = folder.map_or_else(|| Ok(Imported::default()), |folder| Imported::read(folder.path()));
    let imported = imported.map_err(|error| Failure::NoRun(error.to_string()))?;
    if imported.runs.is_empty() {
        return Err(Failure::NoRun("nothing was imported here: `noxide history import` does".to_owned()));
    }
    let runs = imported.runs.iter().map(Timings::imported).collect();
    Ok(Side { name: "imported".to_owned(), means: "past CI runs".to_owned(), runs })
}

fn of(name: &str, means: String, records: &[Record]) -> Side {
    Side { name: name.to_owned(), means, runs: records.iter().map(Timings::of).collect() }
}
