//! Runs the commands of a bench in copies of the project and takes their times.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::checkout_copy::CheckoutCopy;
use super::error::CliError;
use super::output_context::print_stderr;
use crate::output::log_tail_text;
use crate::record::RunStore;
use crate::report::bench::{BenchCacheState, BenchExecutor, BenchMeasurement, BenchPlan, BenchStep};
use crate::report::install_seconds;
use crate::run::process::{
    SignalEvent, SignalListener, become_subreaper, interrupt_descendants, kill_run_processes, signal_group,
};
use crate::text::format_duration;

/// How long output may still come after a command ended; a process that it left may hold the pipe for ever.
const OUTPUT_DRAIN_TIMEOUT: Duration = Duration::from_millis(200);
/// How long a command gets after a signal, before it is killed.
const KILL_GRACE: Duration = Duration::from_secs(5);
/// Lines of a failed command that are shown.
const MAX_LOG_LINES: usize = 20;

/// Runs the commands of a bench.
pub(super) struct BenchRunner {
    temp_dir: tempfile::TempDir,
    ignore_failure: bool,
    prints_progress: bool,
    completed_steps: usize,
    caught_signal: Arc<AtomicI32>,
    _signals: SignalListener,
}

impl BenchRunner {
    /// Makes the folder of the copies and begins to catch signals.
    pub(super) fn new(place: Option<&Path>, ignore_failure: bool, tells: bool) -> Result<Self, CliError> {
        become_subreaper();
        let system = |what: &str, source| CliError::Io { context: what.to_owned(), source };
        let caught = Arc::new(AtomicI32::new(0));
        let known = Arc::clone(&caught);
        let signals = SignalListener::start(move |caught| {
            if let SignalEvent::Terminate(signal) = caught {
                match known.swap(signal, Ordering::SeqCst) {
                    0 => interrupt_descendants(),
                    _ => kill_run_processes(None, None),
                }
            }
        })
        .map_err(|source| system("cannot catch signals", source))?;
        let place = place.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let scratch = fs_err::create_dir_all(&place)
            .and_then(|()| tempfile::Builder::new().prefix("noxide-bench-").tempdir_in(&place))
            .map_err(|source| system("cannot make a folder for the copies", source))?;
        Ok(Self {
            temp_dir: scratch,
            ignore_failure,
            prints_progress: tells,
            completed_steps: 0,
            caught_signal: caught,
            _signals: signals,
        })
    }

    fn check_interrupted(&self) -> Result<(), CliError> {
        match self.caught_signal.load(Ordering::SeqCst) {
            0 => Ok(()),
            signal => Err(CliError::BenchInterrupted(signal)),
        }
    }

    fn spawn_command(&self, command: &[String], copy: &CheckoutCopy) -> Result<BenchProcess, CliError> {
        let system = |source| CliError::Io { context: format!("cannot run {}", command.join(" ")), source };
        let (reader, writer) = std::io::pipe().map_err(system)?;
        let program = command.first().map_or("", String::as_str);
        // A program named by a path is looked for where the bench was started, not in the copy.
        let program =
            if program.contains('/') { fs_err::canonicalize(program).map_err(system)? } else { program.into() };
        let mut child = Command::new(program);
        child
            .args(command.get(1..).unwrap_or_default())
            .current_dir(copy.project_dir())
            .envs(copy.env_variables())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().map_err(system)?)
            .stderr(writer);
        for ours in ["NOXIDE_RUN", "NOXIDE_MARK", "VIRTUAL_ENV", "GITHUB_STEP_SUMMARY"] {
            child.env_remove(ours);
        }
        let started = Instant::now();
        let child = child.spawn().map_err(system)?;
        Ok(BenchProcess { child, started_at: started, reader })
    }

    /// The end of a failed command's output.
    fn command_error(&self, name: &str, code: Option<i32>, log: &Path) -> CliError {
        let (lines, _) = log_tail_text(log, u64::MAX, MAX_LOG_LINES).unwrap_or_default();
        let how =
            code.map_or_else(|| "was ended by a signal".to_owned(), |code| format!("failed with exit code {code}"));
        let shown = if lines.is_empty() { String::new() } else { format!("; it said last:\n{}", lines.join("\n")) };
        CliError::BenchCommand(format!("{name} {how}{shown}"))
    }
}

/// Lines of nox, and the second at which each came.
type TimedLines = Vec<(f64, String)>;

/// A command that runs.
struct BenchProcess {
    child: Child,
    started_at: Instant,
    reader: std::io::PipeReader,
}

impl BenchProcess {
    /// Waits for its end. Its output goes to the log; lines of nox are kept with their time.
    fn wait_for_exit(mut self, log: PathBuf) -> std::io::Result<(Duration, Option<i32>, TimedLines)> {
        let (sender, ended) = mpsc::channel();
        let (reader, started) = (self.reader, self.started_at);
        std::thread::spawn(move || {
            let lines = collect_output(reader, started, &log);
            sender.send(lines).unwrap_or(());
        });
        let status = self.child.wait()?;
        let wall = started.elapsed();
        signal_group(self.child.id(), Signal::KILL);
        // What left the group and holds the pipe is ended as well: the next command must have the machine alone.
        let lines = ended.recv_timeout(OUTPUT_DRAIN_TIMEOUT).or_else(|_| {
            kill_run_processes(None, None);
            ended.recv_timeout(KILL_GRACE)
        });
        kill_run_processes(None, None);
        Ok((wall, status.code(), lines.unwrap_or_default()))
    }
}

fn collect_output(reader: impl Read, started: Instant, log: &Path) -> TimedLines {
    let mut reader = BufReader::new(reader);
    let mut file = fs_err::File::create(log).ok();
    let (mut line, mut lines) = (Vec::new(), Vec::new());
    // A line without an end is read in pieces: memory stays small.
    while let Ok(read) = reader.by_ref().take(64 * 1024).read_until(b'\n', &mut line) {
        if read == 0 {
            break;
        }
        let at = started.elapsed().as_secs_f64();
        if line.starts_with(b"nox > ") || line.starts_with(b"Starting session ") {
            lines.push((at, String::from_utf8_lossy(&line).trim_end().to_owned()));
        }
        if let Some(out) = &mut file {
            let _ = out.write_all(&line);
        }
        line.clear();
    }
    lines
}

impl BenchExecutor for BenchRunner {
    type Error = CliError;

    fn run_step(&mut self, plan: &BenchPlan, step: BenchStep) -> Result<BenchMeasurement, CliError> {
        self.check_interrupted()?;
        let variant = &plan.variants[step.variant];
        let copy = CheckoutCopy::new(self.temp_dir.path().join(step.variant.to_string()));
        if step.caches == BenchCacheState::Cold {
            copy.recreate().map_err(|source| CliError::Io { context: "cannot copy the project".to_owned(), source })?;
        }
        let log = self.temp_dir.path().join("output.log");
        let (wall, code, lines) = self
            .spawn_command(&variant.command, &copy)?
            .wait_for_exit(log.clone())
            .map_err(|source| CliError::Io { context: format!("cannot wait for {}", variant.name), source })?;
        self.check_interrupted()?;
        if code != Some(0) && !self.ignore_failure {
            return Err(self.command_error(&variant.name, code, &log));
        }
        self.completed_steps += 1;
        if self.prints_progress {
            let round = step.round.map_or("before".to_owned(), |round| format!("round {}", round + 1));
            let all = plan.ordered_steps().len();
            let took = format_duration(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX));
            print_stderr(&format!(
                "{}/{all} {round}, {}, {}: {took}",
                self.completed_steps,
                step.caches.as_str(),
                variant.name
            ));
        }
        let wall = wall.as_secs_f64();
        Ok(measure_run(&copy, wall, &lines))
    }
}

/// The figures of a run: its record's where it left one, else what nox's lines tell of installs.
fn measure_run(copy: &CheckoutCopy, wall: f64, lines: &[(f64, String)]) -> BenchMeasurement {
    let record =
        RunStore::open_existing(&copy.project_dir()).and_then(|folder| folder.newest_records(1).into_iter().next());
    if let Some(record) = record {
        let results = || record.sessions.iter().filter_map(|session| session.result.as_ref());
        let seconds = |ms: u64| ms as f64 / 1_000.0;
        let counted: Vec<u64> = results().filter_map(|result| result.install.map(|install| install.ms)).collect();
        return BenchMeasurement {
            wall,
            install: (!counted.is_empty()).then(|| seconds(counted.iter().sum())),
            session_time: Some(results().map(|result| seconds(result.wall_time())).sum()),
        };
    }
    let install = install_seconds(lines, wall);
    BenchMeasurement { wall, install, session_time: install.map(|_| wall) }
}
