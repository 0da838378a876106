//! Execution of benchmarked commands in copies of the project.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::checkout_copy::CheckoutCopy;
use super::plan::{BenchCacheState, BenchPlan, BenchStep};
use super::rounds::{BenchExecutor, BenchMeasurement};
use crate::record::{RunStore, log_tail_text};
use crate::report::install_time::install_seconds;
use crate::text::format_duration;

/// Time to wait for further output after a command ended; a process that it left running may hold the pipe forever.
const OUTPUT_DRAIN_TIMEOUT: Duration = Duration::from_millis(200);
/// Lines of a failed command's output that are shown.
const MAX_LOG_LINES: usize = 20;
/// Time to wait for output after all descendants were killed.
const KILL_GRACE: Duration = Duration::from_secs(5);

/// Control over processes, implemented by the code that runs sessions.
pub(crate) trait BenchProcesses {
    /// Returns the signal that interrupted the benchmark, if any.
    fn interrupted_by(&self) -> Option<i32>;
    /// Kills a process group.
    fn kill_group(&self, group: u32);
    /// Kills all descendants.
    fn kill_all(&self);
}

/// A finished step, to print progress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BenchProgress<'a> {
    /// Number of finished steps.
    pub(crate) completed: usize,
    /// Number of all steps.
    pub(crate) total: usize,
    pub(crate) step: BenchStep,
    /// Name of the command.
    pub(crate) name: &'a str,
    /// Wall time of the command.
    pub(crate) wall: Duration,
    /// Time left, if the other steps take as long as those so far.
    pub(crate) left: Duration,
}

impl BenchProgress<'_> {
    /// Returns the step as a line of text.
    pub(crate) fn to_text(self) -> String {
        let Self { completed, total, step, name, wall, left } = self;
        let round = step.round.map_or("warmup".to_owned(), |round| format!("round {}", round + 1));
        let time = |time: Duration| format_duration(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let left = if left.is_zero() { String::new() } else { format!(", about {} left", time(left)) };
        format!("{completed}/{total} {round}, {}, {name}: {}{left}", step.caches.as_str(), time(wall))
    }
}

/// Errors that end a benchmark.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A signal arrived.
    #[error("interrupted by signal {0}")]
    Interrupted(i32),
    /// A command failed: how, and its last output.
    #[error("{0}")]
    CommandFailed(String),
    /// A file or process operation failed.
    #[error("cannot {action}: {source}")]
    Io {
        /// The attempted action, to follow `cannot`.
        action: String,
        /// The error.
        source: io::Error,
    },
}

fn io_error(action: impl Into<String>) -> impl FnOnce(io::Error) -> BenchError {
    let action = action.into();
    move |source| BenchError::Io { action, source }
}

/// Runs the commands of a benchmark.
pub(crate) struct BenchRunner {
    temp_dir: tempfile::TempDir,
    ignore_failure: bool,
    processes: Box<dyn BenchProcesses>,
    on_step: Box<dyn FnMut(BenchProgress<'_>)>,
    completed_steps: usize,
    completed_time: Duration,
}

impl BenchRunner {
    /// Creates the directory of the copies below `parent`, or below the system's temporary directory.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(crate) fn new(
        parent: Option<&Path>,
        ignore_failure: bool,
        processes: Box<dyn BenchProcesses>,
        on_step: Box<dyn FnMut(BenchProgress<'_>)>,
    ) -> Result<Self, BenchError> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let temp_dir = fs_err::create_dir_all(&parent)
            .and_then(|()| tempfile::Builder::new().prefix("noxide-bench-").tempdir_in(&parent))
            .map_err(io_error("create a directory for copies of the project"))?;
        Ok(Self { temp_dir, ignore_failure, processes, on_step, completed_steps: 0, completed_time: Duration::ZERO })
    }

    fn check_interrupted(&self) -> Result<(), BenchError> {
        self.processes.interrupted_by().map_or(Ok(()), |signal| Err(BenchError::Interrupted(signal)))
    }
}

impl BenchExecutor for BenchRunner {
    type Error = BenchError;

    fn run_step(&mut self, plan: &BenchPlan, step: BenchStep) -> Result<BenchMeasurement, BenchError> {
        self.check_interrupted()?;
        let variant = &plan.variants[step.variant];
        let copy = CheckoutCopy::new(self.temp_dir.path().join(step.variant.to_string()));
        if step.caches == BenchCacheState::Cold {
            copy.recreate().map_err(io_error("copy the project"))?;
        }
        let log = self.temp_dir.path().join("output.log");
        let process = BenchProcess::spawn(&variant.command, &copy)
            .map_err(io_error(format!("run `{}`", variant.command.join(" "))))?;
        let (wall, code, lines) =
            process.wait(&log, &*self.processes).map_err(io_error(format!("wait for `{}`", variant.name)))?;
        self.check_interrupted()?;
        if code != Some(0) && !self.ignore_failure {
            return Err(BenchError::CommandFailed(describe_failure(&variant.name, code, &log)));
        }
        self.completed_steps += 1;
        self.completed_time += wall;
        let total = plan.ordered_steps().len();
        let steps_left = total.saturating_sub(self.completed_steps) as f64;
        let left = self.completed_time.div_f64(self.completed_steps as f64).mul_f64(steps_left);
        (self.on_step)(BenchProgress { completed: self.completed_steps, total, step, name: &variant.name, wall, left });
        Ok(measure_run(&copy, wall.as_secs_f64(), &lines))
    }
}

/// Describes how a command failed, with its last output.
fn describe_failure(name: &str, code: Option<i32>, log: &Path) -> String {
    let (lines, _) = log_tail_text(log, u64::MAX, MAX_LOG_LINES, false).unwrap_or_default();
    let how = code.map_or_else(|| "was ended by a signal".to_owned(), |code| format!("failed with exit code {code}"));
    let tail = if lines.is_empty() { String::new() } else { format!("; last output:\n{}", lines.join("\n")) };
    format!("{name} {how}{tail}")
}

/// Output lines of nox, each with its time of arrival in seconds.
type TimedLines = Vec<(f64, String)>;

/// A running command.
struct BenchProcess {
    child: Child,
    started_at: Instant,
    reader: io::PipeReader,
}

impl BenchProcess {
    fn spawn(command: &[String], copy: &CheckoutCopy) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let program = command.first().map_or("", String::as_str);
        // A relative path is relative to the directory in which the benchmark was started, not to the copy.
        // Links stay: a Python of an environment is a link to the one that it was made with.
        let program = if program.contains('/') { std::path::absolute(program)? } else { program.into() };
        let mut child = Command::new(program);
        child
            .args(command.get(1..).unwrap_or_default())
            .current_dir(copy.project_dir())
            .envs(copy.env_variables())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        for name in ["NOXIDE_RUN", "NOXIDE_RUN_TAG", "VIRTUAL_ENV", "GITHUB_STEP_SUMMARY"] {
            child.env_remove(name);
        }
        let started_at = Instant::now();
        Ok(Self { child: child.spawn()?, started_at, reader })
    }

    /// Waits for the command to end. Its output is written to the log; lines of nox are returned with their time.
    fn wait(mut self, log: &Path, processes: &dyn BenchProcesses) -> io::Result<(Duration, Option<i32>, TimedLines)> {
        let (sender, receiver) = mpsc::channel();
        let (reader, started_at, log) = (self.reader, self.started_at, log.to_path_buf());
        std::thread::spawn(move || {
            let lines = collect_output(reader, started_at, &log);
            sender.send(lines).unwrap_or(());
        });
        let status = self.child.wait()?;
        let wall = started_at.elapsed();
        processes.kill_group(self.child.id());
        // A process that left the group and holds the pipe is killed too: it would disturb the next measurement.
        let lines = receiver.recv_timeout(OUTPUT_DRAIN_TIMEOUT).or_else(|_| {
            processes.kill_all();
            receiver.recv_timeout(KILL_GRACE)
        });
        processes.kill_all();
        Ok((wall, status.code(), lines.unwrap_or_default()))
    }
}

fn collect_output(reader: impl Read, started_at: Instant, log: &Path) -> TimedLines {
    let mut reader = BufReader::new(reader);
    let mut file = fs_err::File::create(log).ok();
    let (mut line, mut lines) = (Vec::new(), Vec::new());
    // A line without an end is read in pieces, which bounds memory.
    while let Ok(read) = reader.by_ref().take(64 * 1024).read_until(b'\n', &mut line) {
        if read == 0 {
            break;
        }
        let seconds = started_at.elapsed().as_secs_f64();
        if line.starts_with(b"nox > ") || line.starts_with(b"Starting session ") {
            lines.push((seconds, String::from_utf8_lossy(&line).trim_end().to_owned()));
        }
        if let Some(file) = &mut file {
            let _ = file.write_all(&line);
        }
        line.clear();
    }
    lines
}

/// Measures a run from its record, or without one from the output lines of nox.
fn measure_run(copy: &CheckoutCopy, wall: f64, lines: &[(f64, String)]) -> BenchMeasurement {
    let record =
        RunStore::open_existing(copy.run_data_dir()).and_then(|store| store.newest_records(1).into_iter().next());
    if let Some(record) = record {
        let results = || record.sessions.iter().filter_map(|session| session.result.as_ref());
        let seconds = |ms: u64| ms as f64 / 1_000.0;
        let installs: Vec<u64> = results().filter_map(|result| result.install.map(|install| install.wall_ms)).collect();
        return BenchMeasurement {
            wall,
            install: (!installs.is_empty()).then(|| seconds(installs.iter().sum())),
            session_time: Some(results().map(|result| seconds(result.wall_time())).sum()),
        };
    }
    let install = install_seconds(lines, wall);
    BenchMeasurement { wall, install, session_time: install.map(|_| wall) }
}
