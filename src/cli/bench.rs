//! `noxide bench`: compares noxide with nox in interleaved rounds and writes the table to a document.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use clap::{Args, ValueEnum};
use rustix::process::Signal;

use super::error::{CliError, ErrorContext as _};
use super::exit_code::ExitCode;
use crate::fs::write_atomic;
use crate::output::{OutputContext, log_tail_text};
use crate::project::GitCheckout;
use crate::record::Machine;
use crate::report::bench::{
    BenchCacheState, BenchEnvironment, BenchError, BenchPlan, BenchProcesses, BenchProgress, BenchReport, BenchRunner,
    BenchVariant, replace_marked_block, run_rounds,
};
use crate::run::process::{
    SignalEvent, SignalListener, become_subreaper, interrupt_descendants, kill_run_processes, signal_group,
};
use crate::text::format_duration;

/// Start of a new document.
const DOCUMENT_HEADER: &str =
    "# CI/CD\n\n## Before and after\n\nWritten by `noxide bench`, which replaces the text between the markers.\n";
/// Lines of a failed command's output that are shown.
const MAX_LOG_LINES: usize = 20;

/// Flags of `noxide bench`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct BenchArgs {
    /// Measure N rounds
    #[arg(long, value_name = "N", default_value_t = BenchPlan::DEFAULT_ROUNDS, help_heading = "Rounds")]
    pub(crate) rounds: usize,
    /// Run N rounds before these that are not measured
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Rounds")]
    pub(crate) warmup: usize,
    /// Measure with cold caches, warm caches or both
    #[arg(long, value_name = "WHICH", default_value = "both", hide_possible_values = true, help_heading = "Rounds")]
    pub(crate) caches: BenchCacheChoice,
    /// Continue if a command fails; its time counts
    #[arg(short, long, help_heading = "Rounds")]
    pub(crate) ignore_failure: bool,
    /// Measure this shell command instead of `noxide run`; repeatable
    #[arg(long, value_name = "COMMAND", help_heading = "Commands")]
    pub(crate) after: Vec<String>,
    /// Compare with this command [default: nox, and nox -j if available]
    #[arg(last = true, value_name = "COMMAND", help_heading = "Commands")]
    pub(crate) before: Vec<String>,
    /// Create the copies of the project in DIR [default: the system's temporary directory]
    #[arg(long, value_name = "DIR", help_heading = "Commands")]
    pub(crate) scratch: Option<PathBuf>,
    /// Print the result as text, markdown or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: BenchFormat,
    /// Write the table to FILE, between its markers
    #[arg(long, value_name = "FILE", default_value = "docs/development/ci-cd.md", help_heading = "Output")]
    pub(crate) write: PathBuf,
    /// Do not write the table to a file
    #[arg(long, conflicts_with = "write", help_heading = "Output")]
    pub(crate) no_write: bool,
}

/// Cache states that each round measures.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BenchCacheChoice {
    /// Cold, then warm.
    #[default]
    Both,
    /// Only cold.
    Cold,
    /// Only warm.
    Warm,
}

/// Format of a benchmark.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BenchFormat {
    /// Text for people.
    #[default]
    Text,
    /// A table for a document.
    #[value(alias = "md")]
    Markdown,
    /// One JSON document with a `version` key.
    Json,
}

/// Runs the benchmark, prints the result and writes the table.
///
/// # Errors
/// When there is nothing to compare with, a command fails, a signal arrives, or the document cannot be written.
pub(super) fn run(args: &BenchArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    if args.rounds == 0 {
        return Err(CliError::Usage("--rounds 0 measures nothing; use 1 or more".to_owned()));
    }
    let (variants, versions) = bench_variants(args)?;
    let caches = match args.caches {
        BenchCacheChoice::Both => vec![BenchCacheState::Cold, BenchCacheState::Warm],
        BenchCacheChoice::Cold => vec![BenchCacheState::Cold],
        BenchCacheChoice::Warm => vec![BenchCacheState::Warm],
    };
    // Fails before the rounds if the document has no place for the table.
    if !args.no_write {
        insert_bench_table(&args.write, "")?;
    }
    let plan = BenchPlan { variants, rounds: args.rounds, warmup_rounds: args.warmup, cache_states: caches };
    let processes = Processes::start().context("cannot handle signals")?;
    let printer = output.clone();
    let on_step = move |progress: BenchProgress<'_>| printer.status(&progress_line(progress));
    let mut runner =
        BenchRunner::new(args.scratch.as_deref(), args.ignore_failure, Box::new(processes), Box::new(on_step))
            .map_err(bench_error)?;
    let samples = run_rounds(&plan, &mut runner).map_err(bench_error)?;
    drop(runner);
    let report = BenchReport::from_samples(plan, bench_environment(versions), samples);
    output.print(&match args.format {
        BenchFormat::Text => report.to_text(),
        BenchFormat::Markdown => report.to_markdown(),
        BenchFormat::Json => format!("{:#}\n", serde_json::to_value(&report).unwrap_or_default()),
    });
    if !args.no_write {
        write_document(&args.write, &insert_bench_table(&args.write, &report.to_markdown())?)?;
        output.status(&format!("table: {}", args.write.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Process control and signals for the runner.
struct Processes {
    caught_signal: Arc<AtomicI32>,
    _listener: SignalListener,
}

impl Processes {
    fn start() -> std::io::Result<Self> {
        become_subreaper();
        let caught_signal = Arc::new(AtomicI32::new(0));
        let shared = Arc::clone(&caught_signal);
        let listener = SignalListener::start(move |event| {
            if let SignalEvent::Terminate(signal) = event {
                match shared.swap(signal, Ordering::SeqCst) {
                    0 => interrupt_descendants(),
                    _ => kill_run_processes(None, None),
                }
            }
        })?;
        Ok(Self { caught_signal, _listener: listener })
    }
}

impl BenchProcesses for Processes {
    fn interrupted_by(&self) -> Option<i32> {
        Some(self.caught_signal.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }

    fn kill_group(&self, group: u32) {
        signal_group(group, Signal::KILL);
    }

    fn kill_all(&self) {
        kill_run_processes(None, None);
    }
}

fn progress_line(progress: BenchProgress<'_>) -> String {
    let BenchProgress { completed, total, step, name, wall } = progress;
    let round = step.round.map_or("warmup".to_owned(), |round| format!("round {}", round + 1));
    let time = format_duration(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX));
    format!("{completed}/{total} {round}, {}, {name}: {time}", step.caches.as_str())
}

fn bench_error(error: BenchError) -> CliError {
    match error {
        BenchError::Interrupted(signal) => {
            CliError::Interrupted { signal, during: "during the benchmark, which is incomplete" }
        }
        BenchError::CommandFailed { name, code, log } => {
            let (lines, _) = log_tail_text(&log, u64::MAX, MAX_LOG_LINES).unwrap_or_default();
            let how =
                code.map_or_else(|| "was ended by a signal".to_owned(), |code| format!("failed with exit code {code}"));
            let tail = if lines.is_empty() { String::new() } else { format!("; last output:\n{}", lines.join("\n")) };
            CliError::BenchCommand(format!("{name} {how}{tail}"))
        }
        BenchError::Io { action, source } => CliError::Io { context: format!("cannot {action}"), source },
    }
}

/// Returns the document with this table in it.
fn insert_bench_table(path: &Path, table: &str) -> Result<String, CliError> {
    let text = match fs_err::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => DOCUMENT_HEADER.to_owned(),
        result => result.context("cannot read the document")?,
    };
    replace_marked_block(&text, table).map_err(|error| CliError::Usage(format!("{}: {error}", path.display())))
}

fn write_document(path: &Path, text: &str) -> Result<(), CliError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent
        .map_or(Ok(()), fs_err::create_dir_all)
        .and_then(|()| write_atomic(path, text.as_bytes()))
        .context("cannot write the table")
}

/// Tools and their versions.
type ToolVersions = Vec<(String, String)>;

/// Returns the commands to measure, and the versions of their tools.
fn bench_variants(args: &BenchArgs) -> Result<(Vec<BenchVariant>, ToolVersions), CliError> {
    let variant = |name: &str, command: Vec<String>| BenchVariant { name: name.to_owned(), command };
    let mut versions = vec![("noxide".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
    let mut variants = Vec::new();
    if args.before.is_empty() {
        let nox = read_command_output(&["nox", "--version"]).ok_or_else(|| {
            std::io::Error::new(std::io::ErrorKind::NotFound, "nox is not on PATH; pass another command after `--`")
        });
        versions.push(("nox".to_owned(), nox.context("cannot compare with nox")?.trim().to_owned()));
        versions.extend(read_command_output(&["uv", "--version"]).map(|uv| {
            let number = uv.split_whitespace().nth(1).unwrap_or_default().to_owned();
            ("uv".to_owned(), number)
        }));
        variants.push(variant("nox", vec!["nox".to_owned()]));
        if read_command_output(&["nox", "--help"]).is_some_and(|help| help.contains("--allow-parallel")) {
            let command = ["nox", "-j", "auto", "--allow-parallel"].map(str::to_owned);
            variants.push(variant("nox -j auto", command.to_vec()));
        }
    } else {
        variants.push(variant(&args.before.join(" "), args.before.clone()));
    }
    if args.after.is_empty() {
        let noxide = std::env::current_exe().context("cannot locate noxide itself")?;
        let noxide = noxide.into_os_string().into_string().map_err(|path| {
            CliError::Usage(format!("the path of noxide is not UTF-8: {}; move it", path.to_string_lossy()))
        })?;
        variants.push(variant("noxide run", vec![noxide, "run".to_owned()]));
    }
    for command in &args.after {
        variants.push(variant(command, ["sh", "-c", command].map(str::to_owned).to_vec()));
    }
    Ok((variants, versions))
}

/// Returns the output of a command; `None` if it does not exist or fails.
fn read_command_output(command: &[&str]) -> Option<String> {
    let output = std::process::Command::new(command.first()?)
        .args(&command[1..])
        .stdin(std::process::Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    // Old releases of nox print their version to standard error.
    Some(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

fn bench_environment(versions: ToolVersions) -> BenchEnvironment {
    let machine = Machine::detect();
    let commit = GitCheckout::detect(Path::new(".")).map(|checkout| {
        let short = checkout.commit.get(..12).unwrap_or(&checkout.commit).to_owned();
        if checkout.dirty { short + "+" } else { short }
    });
    BenchEnvironment { machine: format!("{} {}", machine.os, machine.arch), cpus: machine.cpus, commit, versions }
}
