//! `noxide runs` and `noxide logs`: recorded runs, and the logs of their sessions.

use std::path::Path;

use clap::Args;

use super::error::{CliError, ErrorContext as _};
use super::exit_code::ExitCode;
use super::shared_args::{OutputFormat, open_recorded_runs};
use crate::output::{OutputContext, RecordedLogs, render_run_list, run_list_json};
use crate::record::RunSummary;

/// Flags of `noxide runs`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct RunsArgs {
    /// List at most N runs, the newest last
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, help_heading = "Selection")]
    pub(crate) limit: usize,
    /// Print the list as text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
}

/// Flags of `noxide logs`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Selection")]
pub struct LogsArgs {
    /// Print the logs of these sessions [default: list all logs, with their paths]
    #[arg(value_name = "SESSION")]
    pub(crate) sessions: Vec<String>,
    /// Take the logs of this run: its identifier, the start of it, or `last`
    #[arg(long, value_name = "ID", default_value = "last")]
    pub(crate) run: String,
    /// Print the logs of all sessions that failed
    #[arg(long, conflicts_with = "sessions")]
    pub(crate) failed: bool,
    /// Print what is added to the logs until the run, or the only selected session, ends
    #[arg(short, long, conflicts_with = "failed", help_heading = "Output")]
    pub(crate) follow: bool,
}

/// Lists recorded runs, oldest first.
///
/// # Errors
/// When there are none.
pub(super) fn list_runs(args: &RunsArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let runs: Vec<RunSummary> = open_recorded_runs(Path::new("."))?.newest_summaries(args.limit);
    args.format.print(output, || render_run_list(&runs, output.stdout_theme), || run_list_json(&runs));
    Ok(ExitCode::SUCCESS)
}

/// Prints logs of a run, or lists them.
///
/// # Errors
/// When no run or session matches, or a log cannot be read.
pub(super) fn print_logs(args: &LogsArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let store = open_recorded_runs(Path::new("."))?;
    let run = store.find_run(&args.run)?;
    let context = || format!("cannot read the logs of run {run}");
    let logs = RecordedLogs::read(&store.run_dir(&run)).context(context())?;
    let named = logs.matching_sessions(&args.sessions);
    let named = named.map_err(|message| CliError::Usage(format!("run {run} {message}")))?;
    if args.follow {
        output.follow_logs(&logs, &named, &|| store.is_active(&run)).context(context())?;
    } else if args.failed {
        let failed = logs.failed_sessions();
        if failed.is_empty() {
            output.status(&format!("no session failed in run {run}"));
        }
        output.print_logs(&logs, &failed).context(context())?;
    } else if named.is_empty() {
        output.print(&logs.render_list(output.stdout_theme));
    } else {
        output.print_logs(&logs, &named).context(context())?;
    }
    Ok(ExitCode::SUCCESS)
}
