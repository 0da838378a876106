//! Deadlines: every wait of a test ends, with a message that names what was waited for.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::process::{accept_signals, kill_tagged, send_signal};

/// The longest wait for one event: a file, a line, a process that ends.
pub(crate) const POLL_DEADLINE: Duration = Duration::from_secs(60);

/// The longest run of one command; a busy machine with two cores takes minutes for some.
const COMMAND_DEADLINE: Duration = Duration::from_secs(600);

/// The environment variable that tags a command and all that it started, which are killed at its deadline.
pub(super) const COMMAND_TAG: &str = "NOXIDE_TEST_COMMAND";

/// Calls a function after a time, unless dropped before.
pub(crate) struct Deadline {
    _cancel: Sender<()>,
}

impl Deadline {
    /// Starts the clock; `expired` runs on a separate thread.
    pub(crate) fn new(after: Duration, expired: impl FnOnce() + Send + 'static) -> Self {
        let (cancel, cancelled) = channel();
        std::thread::spawn(move || {
            if cancelled.recv_timeout(after) == Err(RecvTimeoutError::Timeout) {
                expired();
            }
        });
        Self { _cancel: cancel }
    }

    /// Aborts the test program when a call inside this process does not return: nothing else can end such a wait.
    #[allow(clippy::print_stderr)] // the only message of a program that aborts
    pub(crate) fn abort(what: &str) -> Self {
        let what = what.to_owned();
        Self::new(COMMAND_DEADLINE, move || {
            eprintln!("{what} did not end within {COMMAND_DEADLINE:?}: the tests are aborted");
            std::process::abort();
        })
    }
}

/// Waits until a function returns something.
pub(crate) fn wait_until<T>(what: &str, poll: impl FnMut() -> Option<T>) -> T {
    wait_or_panic(poll, || format!("no {what}"))
}

/// Waits until a function returns something; the panic message is built only on failure.
pub(super) fn wait_or_panic<T>(mut poll: impl FnMut() -> Option<T>, describe: impl FnOnce() -> String) -> T {
    let deadline = Instant::now() + POLL_DEADLINE;
    loop {
        if let Some(found) = poll() {
            return found;
        }
        if Instant::now() > deadline {
            panic!("{} within {POLL_DEADLINE:?}", describe());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Commands that are run to their end.
pub(crate) trait CommandDeadline {
    /// Runs the command and returns what it printed; one that runs too long is killed with all it started.
    fn finish(&mut self) -> Output {
        self.finish_within(COMMAND_DEADLINE)
    }

    /// Like [`CommandDeadline::finish`], with another deadline.
    fn finish_within(&mut self, limit: Duration) -> Output;

    /// Runs the command with its output inherited.
    fn finish_status(&mut self) -> ExitStatus;
}

impl CommandDeadline for Command {
    fn finish_within(&mut self, limit: Duration) -> Output {
        guarded(self, limit, std::process::Command::output)
    }

    fn finish_status(&mut self) -> ExitStatus {
        guarded(self, COMMAND_DEADLINE, std::process::Command::status)
    }
}

fn guarded<T>(command: &mut Command, limit: Duration, run: impl FnOnce(&mut Command) -> std::io::Result<T>) -> T {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    accept_signals();
    let tag = format!("{}.{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    command.env(COMMAND_TAG, &tag);
    let started = Instant::now();
    let deadline = Deadline::new(limit, move || kill_tagged(COMMAND_TAG, &tag));
    let result = run(command).unwrap_or_else(|error| panic!("{command:?}: {error}"));
    drop(deadline);
    assert!(started.elapsed() < limit, "{command:?} did not end within {limit:?}");
    result
}

/// Processes that were started and are waited for.
pub(crate) trait ChildDeadline {
    /// Waits for the end; a process that does not end is killed.
    fn wait_for_end(&mut self) -> ExitStatus;

    /// Reads the first line of the piped standard output, then closes it; a process that prints none is killed.
    fn first_line(&mut self) -> String;

    /// Reads the output to the end, as `wait_with_output` does.
    fn finish_output(self) -> Output;
}

impl ChildDeadline for Child {
    fn wait_for_end(&mut self) -> ExitStatus {
        drop(self.stdin.take());
        let deadline = Instant::now() + COMMAND_DEADLINE;
        loop {
            if let Some(status) = self.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > deadline {
                self.kill().unwrap();
                panic!("process {} did not end within {COMMAND_DEADLINE:?}", self.id());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn first_line(&mut self) -> String {
        let process = self.id();
        let _deadline = Deadline::new(POLL_DEADLINE, move || send_signal("KILL", &process.to_string()));
        let mut line = String::new();
        BufReader::with_capacity(1, self.stdout.take().unwrap()).read_line(&mut line).unwrap();
        line
    }

    fn finish_output(self) -> Output {
        let process = self.id();
        let deadline = Deadline::new(COMMAND_DEADLINE, move || send_signal("KILL", &process.to_string()));
        let output = self.wait_with_output().unwrap();
        drop(deadline);
        output
    }
}
