//! `noxide replay`: a past run shown again from its events.

use std::io::BufReader;
use std::path::Path;

use super::args::{Format, ReplayArgs};
use super::failure::Failure;
use super::screen::{Screen, say};
use crate::output::{replay as show, reporters};
use crate::record::Folder;

/// Shows a past run again and gives the exit code it had.
///
/// # Errors
/// When no run, or more than one, goes by that name, or its events cannot be read.
pub(super) fn replay(args: &ReplayArgs, screen: &Screen) -> Result<u8, Failure> {
    let folder = Folder::existing(Path::new("."))
        .ok_or_else(|| Failure::NoRun("no run is recorded here: there is no .noxide".to_owned()))?;
    let run = find(&folder, &args.run)?;
    let path = folder.run(&run);
    let system = |what: &str, source| Failure::System { what: format!("run {run}: {what}"), source };
    let events = fs_err::File::open(path.join("events.jsonl")).map_err(|error| system("no events", error))?;
    let mut output = screen.output(args.output, args.format == Format::Json, &run);
    // A board would flash by: what is over is told in lines.
    output.board = false;
    let mut reporters = reporters::open(&output, screen.streams(None));
    let replayed =
        show(&mut BufReader::new(events), &path, &mut reporters).map_err(|error| system("cannot be shown", error))?;
    if let Some(line) = replayed.damaged {
        say(&format!("warning: run {run}: line {line} of events.jsonl is no event; shown up to there"));
    }
    Ok(replayed.exit.unwrap_or(1))
}

/// The run that goes by this name: its folder's name, its beginning, or `last`.
pub(super) fn find(folder: &Folder, name: &str) -> Result<String, Failure> {
    let runs = folder.runs();
    if name == "last" {
        return runs.last().cloned().ok_or_else(|| Failure::NoRun("no run is recorded here".to_owned()));
    }
    let exact = runs.iter().find(|run| *run == name);
    let alike: Vec<&String> = runs.iter().filter(|run| run.starts_with(name)).collect();
    match (exact, alike.as_slice()) {
        (Some(run), _) => Ok(run.clone()),
        (None, [run]) => Ok((*run).clone()),
        (None, []) => Err(Failure::NoRun(match runs.last() {
            Some(last) => format!("no run begins with {name}; the last is {last}"),
            None => "no run is recorded here".to_owned(),
        })),
        (None, several) => Err(Failure::NoRun(format!("{} runs begin with {name}: say more of it", several.len()))),
    }
}
