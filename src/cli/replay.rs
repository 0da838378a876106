//! `noxide replay`: prints a past run again from its events.

use std::path::Path;

use clap::Args;

use super::error::{CliError, ErrorContext as _};
use super::exit_code::ExitCode;
use super::shared_args::{OutputFormat, choice_parser, open_recorded_runs};
use crate::output::OutputContext;
use crate::run::OutputStyle;

/// Flags of `noxide replay`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayArgs {
    /// Run to print: its identifier, the start of it, or `last`
    #[arg(value_name = "ID", default_value = "last", help_heading = "Selection")]
    pub run: String,
    /// Show session output grouped, stream, labelled or quiet
    #[arg(long, value_name = "STYLE", hide_possible_values = true, value_parser = choice_parser::<OutputStyle>(), help_heading = "Output")]
    pub output: Option<OutputStyle>,
    /// Print the run as text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub format: OutputFormat,
}

/// Prints a past run again and returns its exit code.
///
/// # Errors
/// When no run, or more than one, matches, or its events cannot be read.
pub(super) fn run(args: &ReplayArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let store = open_recorded_runs(Path::new("."))?;
    let run = store.find_run(&args.run)?;
    let run_dir = store.run_dir(&run);
    let is_json = args.format == OutputFormat::Json;
    let replayed = output
        .replay_run(&run_dir, args.output.map(Into::into), is_json)
        .context(format!("cannot replay run {run}"))?;
    if let Some(line) = replayed.damaged_line {
        output.warn(&format!("run {run} is shown up to line {line} of its events.jsonl, which is damaged"));
    }
    Ok(replayed.exit_code.map_or(ExitCode::FAILURE, ExitCode::from))
}
