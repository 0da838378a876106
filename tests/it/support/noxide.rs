//! The built noxide: commands, running processes, finished runs and what they recorded.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use noxide::project::default_run_data_dir;
use noxide::record::{Outcome, RecordedSession, RunRecord, RunStore, SessionResult};
use rustix::process::{Pid, Signal, kill_process};

use super::deadline::wait_or_panic;
use super::process::peak_memory_kib;
use super::project::{newest_record, outcomes};
use super::{CommandDeadline as _, POLL_DEADLINE, Project, test_environment};

/// How much of a running noxide's output is read, in bytes.
const MAX_OUTPUT: u64 = 4 << 20;

/// noxide in a directory, with the nox and uv of the tests and without variables of the caller that it reads.
pub(crate) fn noxide_in(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_noxide"));
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    for (name, value) in test_environment() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    for name in [
        "GITHUB_ACTIONS",
        "FORGEJO_ACTIONS",
        "GITEA_ACTIONS",
        "GITHUB_STEP_SUMMARY",
        "NOXIDE_NOX",
        "NOX_PARALLEL",
        "MAKEFLAGS",
        "MAKELEVEL",
        "TEST_PROCESSES",
        "PABOT_PROCESSES",
        "PYTEST_XDIST_AUTO_NUM_WORKERS",
    ] {
        command.env_remove(name);
    }
    command
}

/// noxide in a project, its arguments separated by spaces.
pub(crate) fn noxide_command(project: &Project, arguments: &str) -> Command {
    noxide_in(project.root(), &arguments.split_whitespace().collect::<Vec<_>>())
}

/// `noxide run` with these flags.
pub(crate) fn run_flags(project: &Project, flags: &[&str]) -> Command {
    let mut command = noxide_in(project.root(), &["run"]);
    command.args(flags);
    command
}

/// Runs `noxide run` with flags that are separated by spaces.
pub(crate) fn run(project: &Project, flags: &str) -> NoxideRun {
    NoxideRun::finish(&mut noxide_command(project, &format!("run {flags}")))
}

/// The source of a session that runs a shell script.
pub(crate) fn shell_session(name: &str, script: &str) -> String {
    format!("@nox.session\ndef {name}(session):\n    session.run('sh', '-c', {script:?}, external=True)\n")
}

/// A noxide that has ended.
#[derive(Debug)]
pub(crate) struct NoxideRun {
    pub(crate) status: ExitStatus,
    /// The exit code; none when it was killed by a signal.
    pub(crate) exit: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Both streams.
    pub(crate) text: String,
    /// How long the test waited for it.
    pub(crate) elapsed: Duration,
    /// Its largest resident set as last seen, in KiB; only of a [`RunningNoxide`].
    pub(crate) peak_memory_kib: u64,
    record: Option<RunRecord>,
    root: PathBuf,
}

impl NoxideRun {
    /// Runs a command to its end and reads the newest record below its working directory.
    pub(crate) fn finish(command: &mut Command) -> Self {
        let started = Instant::now();
        let output = command.finish();
        let root = command.get_current_dir().expect("a command in a project").to_path_buf();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self::new(output.status, text(&output.stdout), text(&output.stderr), started.elapsed(), 0, root)
    }

    fn new(
        status: ExitStatus,
        stdout: String,
        stderr: String,
        elapsed: Duration,
        peak_memory_kib: u64,
        root: PathBuf,
    ) -> Self {
        let text = format!("{stdout}{stderr}");
        let record = newest_record(&root);
        Self { status, exit: status.code(), stdout, stderr, text, elapsed, peak_memory_kib, record, root }
    }

    /// The exit code of one that was not killed.
    pub(crate) fn code(&self) -> i32 {
        self.exit.unwrap_or_else(|| panic!("{}: {}", self.status, self.text))
    }

    /// The newest record when it ended.
    pub(crate) fn record(&self) -> &RunRecord {
        self.record.as_ref().unwrap_or_else(|| panic!("no record: {}", self.text))
    }

    /// A session's result.
    pub(crate) fn session(&self, name: &str) -> &SessionResult {
        let named = |session: &&RecordedSession| session.spec.name.as_str() == name;
        let found = self.record().sessions.iter().find(named).unwrap_or_else(|| panic!("no {name}: {}", self.text));
        found.result.as_ref().unwrap_or_else(|| panic!("{name} has no result: {}", self.text))
    }

    pub(crate) fn outcome(&self, name: &str) -> Outcome {
        self.session(name).outcome
    }

    /// Every session's outcome, by name; empty without a record.
    pub(crate) fn outcomes(&self) -> Vec<(String, Option<Outcome>)> {
        self.record.as_ref().map(outcomes).unwrap_or_default()
    }

    /// When a session started and ended, in milliseconds of the run.
    pub(crate) fn times(&self, name: &str) -> (u64, u64) {
        let attempts = &self.session(name).attempts;
        (attempts[0].start, attempts[attempts.len() - 1].end)
    }

    /// The output of an attempt of a session; attempts are numbered from 1.
    pub(crate) fn log(&self, name: &str, attempt: usize) -> Vec<u8> {
        let path = &self.session(name).attempts[attempt - 1].log;
        let store = RunStore::open_existing(default_run_data_dir(&self.root)).unwrap();
        std::fs::read(store.run_dir(&self.record().run_id).join(path)).unwrap()
    }
}

/// A running noxide; its output goes to the file `out` outside the project.
pub(crate) struct RunningNoxide {
    child: Child,
    root: PathBuf,
    output: PathBuf,
}

impl RunningNoxide {
    /// Starts `noxide run` with these flags.
    pub(crate) fn start(project: &Project, flags: &[&str]) -> Self {
        Self::from_command(project, run_flags(project, flags))
    }

    /// Starts a command.
    pub(crate) fn from_command(project: &Project, mut command: Command) -> Self {
        let output = project.outer_dir().join("out");
        let file = std::fs::File::create(&output).unwrap();
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Self { child, root: project.root().to_path_buf(), output }
    }

    /// Runs `noxide run` with these flags to its end.
    pub(crate) fn run(project: &Project, flags: &[&str]) -> NoxideRun {
        Self::start(project, flags).finish()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends noxide a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until a file below the project has content.
    pub(crate) fn wait_for_file(&self, name: &str) -> String {
        let path = self.root.join(name);
        self.wait_until(name, || std::fs::read_to_string(&path).ok().filter(|text| !text.is_empty()))
    }

    /// Waits until a function returns something.
    pub(crate) fn wait_until<T>(&self, what: &str, poll: impl FnMut() -> Option<T>) -> T {
        wait_or_panic(poll, || format!("no {what}: {}\nno {what}", std::fs::read_to_string(&self.output).unwrap()))
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> NoxideRun {
        let started = Instant::now();
        let mut peak = 0;
        loop {
            peak = peak_memory_kib(self.child.id()).unwrap_or(peak);
            if let Some(status) = self.child.try_wait().unwrap() {
                let mut bytes = Vec::new();
                std::fs::File::open(&self.output).unwrap().take(MAX_OUTPUT).read_to_end(&mut bytes).unwrap();
                let text = String::from_utf8_lossy(&bytes).into_owned();
                return NoxideRun::new(status, text, String::new(), started.elapsed(), peak, self.root);
            }
            if started.elapsed() > 2 * POLL_DEADLINE {
                self.child.kill().unwrap();
                panic!("noxide does not end: {}", std::fs::read_to_string(&self.output).unwrap());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
