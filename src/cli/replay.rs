//! `noxide replay`: a past run shown again from its events.

use std::io::BufReader;
use std::path::Path;

use super::args::{OutputFormat, ReplayArgs};
use super::error::CliError;
use super::output_context::{OutputContext, print_stderr};
use crate::output::{replay_events as show, reporters};
use crate::record::RunStore;

/// Shows a past run again and gives the exit code it had.
///
/// # Errors
/// When no run, or more than one, goes by that name, or its events cannot be read.
pub(super) fn replay_run(args: &ReplayArgs, screen: &OutputContext) -> Result<u8, CliError> {
    let folder = RunStore::open_existing(Path::new("."))
        .ok_or_else(|| CliError::InvalidInput("no run is recorded here: there is no .noxide".to_owned()))?;
    let run = find_run(&folder, &args.run)?;
    let path = folder.run_dir(&run);
    let system = |what: &str, source| CliError::Io { context: format!("run {run}: {what}"), source };
    let events = fs_err::File::open(path.join("events.jsonl")).map_err(|error| system("no events", error))?;
    let mut output = screen.output_options(args.output, args.format == OutputFormat::Json, &run);
    // A board would flash by: what is over is told in lines.
    output.is_interactive = false;
    let mut reporters = reporters::open_reporters(&output, screen.open_streams(None));
    let replayed =
        show(&mut BufReader::new(events), &path, &mut reporters).map_err(|error| system("cannot be shown", error))?;
    if let Some(line) = replayed.damaged_line {
        print_stderr(&format!("warning: run {run}: line {line} of events.jsonl is no event; shown up to there"));
    }
    Ok(replayed.exit_code.unwrap_or(1))
}

/// The run that goes by this name: its folder's name, its beginning, or `last`.
pub(super) fn find_run(folder: &RunStore, name: &str) -> Result<String, CliError> {
    let runs = folder.run_ids();
    if name == "last" {
        return runs.last().cloned().ok_or_else(|| CliError::InvalidInput("no run is recorded here".to_owned()));
    }
    let exact = runs.iter().find(|run| *run == name);
    let alike: Vec<&String> = runs.iter().filter(|run| run.starts_with(name)).collect();
    match (exact, alike.as_slice()) {
        (Some(run), _) => Ok(run.clone()),
        (None, [run]) => Ok((*run).clone()),
        (None, []) => Err(CliError::InvalidInput(match runs.last() {
            Some(last) => format!("no run begins with {name}; the last is {last}"),
            None => "no run is recorded here".to_owned(),
        })),
        (None, several) => {
            Err(CliError::InvalidInput(format!("{} runs begin with {name}: say more of it", several.len())))
        }
    }
}
