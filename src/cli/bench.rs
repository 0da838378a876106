//! `noxide bench`: compares noxide with nox in interleaved rounds.

use clap::Args;
use rustix::process::Signal;
use std::path::{Path, PathBuf};

use super::error::{CliError, ErrorContext as _};
use super::exit_code::ExitCode;
use super::loaded_project::find_or_install_nox;
use super::shared_args::last_run_data_dir;
use crate::output::OutputContext;
use crate::project::GitCheckout;
use crate::record::{Machine, RunStore};
use crate::report::bench::{
    BenchCacheChoice, BenchCommands, BenchEnvironment, BenchError, BenchFormat, BenchPlan, BenchProcesses,
    BenchProgress, BenchReport, BenchRunner, insert_bench_table, run_rounds, write_bench_table,
};
use crate::run::process::{InterruptWatch, kill_run_processes, signal_group};

/// A longer benchmark is confirmed first.
const MAX_UNCONFIRMED_MS: u64 = 10 * 60 * 1_000;

/// Flags of `noxide bench`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct BenchArgs {
    /// Measure N rounds
    #[arg(long, value_name = "N", default_value_t = BenchPlan::DEFAULT_ROUNDS, help_heading = "Rounds")]
    pub(crate) rounds: usize,
    /// Run N rounds first without measuring them
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Rounds")]
    pub(crate) warmup: usize,
    /// Measure with cold caches, warm caches or both
    #[arg(long, value_name = "WHICH", default_value = "both", hide_possible_values = true, help_heading = "Rounds")]
    pub(crate) caches: BenchCacheChoice,
    /// Continue if a command fails; its time counts
    #[arg(short, long, help_heading = "Rounds")]
    pub(crate) ignore_failure: bool,
    /// Compare this shell command with the baseline; repeatable [default: noxide run]
    #[arg(long, value_name = "COMMAND", help_heading = "Commands")]
    pub(crate) candidate: Vec<String>,
    /// Measure this command as the baseline [default: nox; nox -j is then measured too, if available]
    #[arg(last = true, value_name = "COMMAND", help_heading = "Commands")]
    pub(crate) baseline: Vec<String>,
    /// Create the copies of the project in DIR [default: the system's temporary directory]
    #[arg(long, value_name = "DIR", help_heading = "Commands")]
    pub(crate) scratch: Option<PathBuf>,
    /// Print the result as text, markdown or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: BenchFormat,
    /// Do not ask before a benchmark that takes long
    #[arg(short, long, help_heading = "Rounds")]
    pub(crate) yes: bool,
    /// Write the table to FILE, between `<!-- noxide bench: begin -->` and `<!-- noxide bench: end -->`
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) write: Option<PathBuf>,
}

/// Runs the benchmark, prints the result and, if requested, writes the table to a file.
///
/// # Errors
/// When there is nothing to compare with, a command fails, a signal arrives, or the document cannot be written.
pub(super) fn run(args: &BenchArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    if args.rounds == 0 {
        return Err(CliError::Usage("--rounds 0 measures nothing; use 1 or more".to_owned()));
    }
    let needs_nox = args.baseline.is_empty() && !BenchCommands::has_nox();
    let nox = if needs_nox { Some(find_or_install_nox(None, Path::new("."), output)?.executable) } else { None };
    let BenchCommands { variants, versions } = BenchCommands::new(&args.baseline, &args.candidate, nox.as_deref())?;
    // Checks the markers before the rounds, so that no time is lost.
    if let Some(path) = &args.write {
        insert_bench_table(path, "")?;
    }
    let plan = BenchPlan {
        variants,
        rounds: args.rounds,
        warmup_rounds: args.warmup,
        cache_states: args.caches.cache_states(),
    };
    let last_run =
        RunStore::open_existing(last_run_data_dir(Path::new("."))).and_then(|store| store.newest_records(1).pop());
    let estimate = last_run.filter(|_| args.baseline.is_empty()).map(|run| plan.estimate_ms(&run));
    output.status(&plan.describe_work(estimate));
    let is_long = estimate.is_some_and(|ms| ms > MAX_UNCONFIRMED_MS);
    if is_long && !args.yes && !output.confirm("continue?") {
        return Ok(ExitCode::SUCCESS);
    }
    let processes = InterruptWatch::start().context("cannot handle signals")?;
    let printer = output.clone();
    let on_step = move |progress: BenchProgress<'_>| printer.status(&progress.to_text());
    let mut runner =
        BenchRunner::new(args.scratch.as_deref(), args.ignore_failure, Box::new(processes), Box::new(on_step))
            .map_err(bench_error)?;
    let samples = run_rounds(&plan, &mut runner).map_err(bench_error)?;
    drop(runner);
    let report = BenchReport::from_samples(plan, bench_environment(versions), samples);
    output.print_document(&report.render(args.format));
    if let Some(path) = &args.write {
        write_bench_table(path, &report.to_markdown())?;
        output.status(&format!("table: {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

impl BenchProcesses for InterruptWatch {
    fn interrupted_by(&self) -> Option<i32> {
        self.caught_signal()
    }

    fn kill_group(&self, group: u32) {
        signal_group(group, Signal::KILL);
    }

    fn kill_all(&self) {
        kill_run_processes(None, None);
    }
}

fn bench_error(error: BenchError) -> CliError {
    match error {
        BenchError::Interrupted(signal) => {
            CliError::Interrupted { signal, during: "during the benchmark, which is incomplete" }
        }
        BenchError::CommandFailed(description) => CliError::BenchCommand(description),
        BenchError::Io { action, source } => CliError::Io { context: format!("cannot {action}"), source },
    }
}

fn bench_environment(versions: Vec<(String, String)>) -> BenchEnvironment {
    let machine = Machine::detect();
    let commit = GitCheckout::detect(Path::new(".")).map(|checkout| checkout.short_commit());
    BenchEnvironment { machine: format!("{} {}", machine.os, machine.arch), cpus: machine.cpus, commit, versions }
}
