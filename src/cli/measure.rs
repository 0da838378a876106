//! Runs the commands of a bench in copies of the project and takes their times.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::copy::Copy;
use super::failure::Failure;
use super::screen::say;
use crate::output::{duration, log_tail};
use crate::record::Folder;
use crate::report::bench::{BenchPlan, Caches, Executor, Measured, Step};
use crate::report::installs;
use crate::run::process::{Caught, Signals, become_subreaper, end_run, interrupt_descendants, signal_group};

/// How long output may still come after a command ended; a process that it left may hold the pipe for ever.
const LEFT: Duration = Duration::from_millis(200);
/// How long a command gets after a signal, before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// Lines of a failed command that are shown.
const LINES: usize = 20;

/// Runs the commands of a bench.
pub(super) struct Measure {
    scratch: tempfile::TempDir,
    ignore_failure: bool,
    tells: bool,
    done: usize,
    caught: Arc<AtomicI32>,
    _signals: Signals,
}

impl Measure {
    /// Makes the folder of the copies and begins to catch signals.
    pub(super) fn begin(place: Option<&Path>, ignore_failure: bool, tells: bool) -> Result<Self, Failure> {
        become_subreaper();
        let system = |what: &str, source| Failure::System { what: what.to_owned(), source };
        let caught = Arc::new(AtomicI32::new(0));
        let known = Arc::clone(&caught);
        let signals = Signals::catch(move |caught| {
            if let Caught::End(signal) = caught {
                match known.swap(signal, Ordering::SeqCst) {
                    0 => interrupt_descendants(),
                    _ => end_run(None, None),
                }
            }
        })
        .map_err(|source| system("cannot catch signals", source))?;
        let place = place.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let scratch = fs_err::create_dir_all(&place)
            .and_then(|()| tempfile::Builder::new().prefix("noxide-bench-").tempdir_in(&place))
            .map_err(|source| system("cannot make a folder for the copies", source))?;
        Ok(Self { scratch, ignore_failure, tells, done: 0, caught, _signals: signals })
    }

    fn ended(&self) -> Result<(), Failure> {
        match self.caught.load(Ordering::SeqCst) {
            0 => Ok(()),
            signal => Err(Failure::BenchEnded(signal)),
        }
    }

    fn start(&self, command: &[String], copy: &Copy) -> Result<Started, Failure> {
        let system = |source| Failure::System { what: format!("cannot run {}", command.join(" ")), source };
        let (reader, writer) = std::io::pipe().map_err(system)?;
        let program = command.first().map_or("", String::as_str);
        // A program named by a path is looked for where the bench was started, not in the copy.
        let program =
            if program.contains('/') { fs_err::canonicalize(program).map_err(system)? } else { program.into() };
        let mut child = Command::new(program);
        child
            .args(command.get(1..).unwrap_or_default())
            .current_dir(copy.tree())
            .envs(copy.variables())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().map_err(system)?)
            .stderr(writer);
        for ours in ["NOXIDE_RUN", "NOXIDE_MARK", "VIRTUAL_ENV", "GITHUB_STEP_SUMMARY"] {
            child.env_remove(ours);
        }
        let started = Instant::now();
        let child = child.spawn().map_err(system)?;
        Ok(Started { child, started, reader })
    }

    /// The end of a failed command's output.
    fn failed(&self, name: &str, code: Option<i32>, log: &Path) -> Failure {
        let (lines, _) = log_tail(log, u64::MAX, LINES).unwrap_or_default();
        let how =
            code.map_or_else(|| "was ended by a signal".to_owned(), |code| format!("failed with exit code {code}"));
        let shown = if lines.is_empty() { String::new() } else { format!("; it said last:\n{}", lines.join("\n")) };
        Failure::Command(format!("{name} {how}{shown}"))
    }
}

/// Lines of nox, and the second at which each came.
type Lines = Vec<(f64, String)>;

/// A command that runs.
struct Started {
    child: Child,
    started: Instant,
    reader: std::io::PipeReader,
}

impl Started {
    /// Waits for its end. Its output goes to the log; lines of nox are kept with their time.
    fn finish(mut self, log: PathBuf) -> std::io::Result<(Duration, Option<i32>, Lines)> {
        let (sender, ended) = mpsc::channel();
        let (reader, started) = (self.reader, self.started);
        std::thread::spawn(move || {
            let lines = listen(reader, started, &log);
            sender.send(lines).unwrap_or(());
        });
        let status = self.child.wait()?;
        let wall = started.elapsed();
        signal_group(self.child.id(), Signal::KILL);
        // What left the group and holds the pipe is ended as well: the next command must have the machine alone.
        let lines = ended.recv_timeout(LEFT).or_else(|_| {
            end_run(None, None);
            ended.recv_timeout(GRACE)
        });
        end_run(None, None);
        Ok((wall, status.code(), lines.unwrap_or_default()))
    }
}

fn listen(reader: impl Read, started: Instant, log: &Path) -> Lines {
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

impl Executor for Measure {
    type Error = Failure;

    fn run(&mut self, plan: &BenchPlan, step: Step) -> Result<Measured, Failure> {
        self.ended()?;
        let variant = &plan.variants[step.variant];
        let copy = Copy::at(self.scratch.path().join(step.variant.to_string()));
        if step.caches == Caches::Cold {
            copy.renew().map_err(|source| Failure::System { what: "cannot copy the project".to_owned(), source })?;
        }
        let log = self.scratch.path().join("output.log");
        let (wall, code, lines) = self
            .start(&variant.command, &copy)?
            .finish(log.clone())
            .map_err(|source| Failure::System { what: format!("cannot wait for {}", variant.name), source })?;
        self.ended()?;
        if code != Some(0) && !self.ignore_failure {
            return Err(self.failed(&variant.name, code, &log));
        }
        self.done += 1;
        if self.tells {
            let round = step.round.map_or("before".to_owned(), |round| format!("round {}", round + 1));
            let all = plan.steps().len();
            let took = duration(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX));
            say(&format!("{}/{all} {round}, {}, {}: {took}", self.done, step.caches.word(), variant.name));
        }
        let wall = wall.as_secs_f64();
        Ok(told(&copy, wall, &lines))
    }
}

/// The figures of a run: its record's where it left one, else what nox's lines tell of installs.
fn told(copy: &Copy, wall: f64, lines: &[(f64, String)]) -> Measured {
    let record = Folder::existing(&copy.tree()).and_then(|folder| folder.newest(1).into_iter().next());
    if let Some(record) = record {
        let results = || record.sessions.iter().filter_map(|session| session.result.as_ref());
        let seconds = |ms: u64| ms as f64 / 1_000.0;
        let counted: Vec<u64> = results().filter_map(|result| result.install.map(|install| install.ms)).collect();
        return Measured {
            wall,
            install: (!counted.is_empty()).then(|| seconds(counted.iter().sum())),
            sessions: Some(results().map(|result| seconds(result.wall())).sum()),
        };
    }
    let install = installs(lines, wall);
    Measured { wall, install, sessions: install.map(|_| wall) }
}
