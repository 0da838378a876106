//! The dispatcher with a fake launcher: cases that need controlled time and failure.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use noxide::project::{ManifestIndex, NoxfileManifest};
use noxide::record::{EventKind, Outcome, RunRecord, SessionHistory, SessionResult};
use noxide::run::process::SignalEvent;
use noxide::run::{LaunchRequest, RetryBackoff, RetryPolicy, RunMessage, RunOptions, SessionEvent, SessionOverrides};

use crate::support::{ChildDeadline as _, Dispatch, EventLog, FnLauncher, finished, manifest, rule, session};

/// A run that has ended.
struct DispatchResult {
    exit: u8,
    record: RunRecord,
    elapsed: Duration,
    status_requests: u32,
}

impl DispatchResult {
    fn session(&self, name: &str) -> SessionResult {
        let found = self.record.sessions.iter().find(|s| s.spec.name.as_str() == name);
        found.and_then(|s| s.result.clone()).unwrap_or_else(|| panic!("{name}: {:?}", self.record))
    }

    fn outcome(&self, name: &str) -> Outcome {
        self.session(name).outcome
    }
}

fn run(
    manifest: &NoxfileManifest,
    options: &RunOptions,
    run_dir: &Path,
    launch: impl FnMut(&LaunchRequest, OwnedFd, &Sender<RunMessage>) -> io::Result<()>,
    on_event: impl FnMut(&EventKind, &Sender<RunMessage>),
) -> DispatchResult {
    run_after(SessionHistory::default(), manifest, options, run_dir, launch, on_event)
}

/// A run with the durations of earlier ones; `launch` replaces the host, `on_event` is called with each event.
fn run_after(
    history: SessionHistory,
    manifest: &NoxfileManifest,
    options: &RunOptions,
    run_dir: &Path,
    mut launch: impl FnMut(&LaunchRequest, OwnedFd, &Sender<RunMessage>) -> io::Result<()>,
    mut on_event: impl FnMut(&EventKind, &Sender<RunMessage>),
) -> DispatchResult {
    let (sender, messages) = channel();
    let mut launcher = FnLauncher {
        launch: |request: &LaunchRequest, output| launch(request, output, &sender),
        exit_description: Some("signal: 11 (SIGSEGV)".to_owned()),
    };
    let mut log = EventLog::new(|kind: &EventKind| on_event(kind, &sender));
    let since = Instant::now();
    let dispatch =
        Dispatch { history, notices: vec!["a notice".to_owned()], ..Dispatch::new(manifest, options, run_dir) };
    let exit = dispatch.run(&mut launcher, &mut log, (sender.clone(), messages));
    DispatchResult { exit, record: log.record(), elapsed: since.elapsed(), status_requests: log.status_requests }
}

fn options() -> RunOptions {
    RunOptions {
        grace_period: Duration::from_millis(50),
        leak_timeout: Duration::from_millis(50),
        ..RunOptions::default()
    }
}

/// A run directory with `logs` in it.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("logs")).unwrap();
    directory
}

fn nothing(_: &EventKind, _: &Sender<RunMessage>) {}

#[test]
fn a_failed_launch_is_a_crash_and_is_retried() {
    let directory = directory();
    let retries = RetryPolicy { count: 1, delay: Duration::ZERO, backoff: RetryBackoff::Fixed };
    let mut refused = 0;
    let script = |request: &LaunchRequest, _: OwnedFd, sender: &Sender<RunMessage>| {
        if request.id == ManifestIndex(0) {
            refused += 1;
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        sender.send(finished(request.id, Outcome::Passed)).unwrap();
        Ok(())
    };
    let sessions = manifest(vec![session("refused"), session("fine")]);
    let ran = run(&sessions, &RunOptions { retries, ..options() }, directory.path(), script, nothing);
    assert_eq!((ran.exit, ran.outcome("refused"), ran.outcome("fine")), (1, Outcome::Crashed, Outcome::Passed));
    assert_eq!(ran.session("refused").reason, "could not be started: broken pipe");
    assert_eq!(ran.session("refused").attempts.len(), 2);
    assert_eq!(ran.record.notices, ["a notice"]);
    assert_eq!(refused, 2);
}

#[test]
fn a_crashed_host_ends_the_run_and_its_late_messages_are_ignored() {
    let directory = directory();
    let mut kept = Vec::new();
    let script = |request: &LaunchRequest, output: OwnedFd, sender: &Sender<RunMessage>| {
        kept.push(output);
        if request.id == ManifestIndex(1) {
            sender.send(finished(ManifestIndex(1), Outcome::Passed)).unwrap();
            sender.send(RunMessage::HostExited).unwrap();
            sender.send(finished(ManifestIndex(1), Outcome::Failed)).unwrap();
            sender.send(finished(ManifestIndex(7), Outcome::Failed)).unwrap();
            sender.send(RunMessage::HostExited).unwrap();
        }
        Ok(())
    };
    let mut waits = session("waits");
    waits.requires = vec![ManifestIndex(0)];
    let sessions = manifest(vec![session("runs"), session("done"), waits]);
    let ran = run(&sessions, &options(), directory.path(), script, nothing);
    let outcomes = ["runs", "done", "waits"].map(|name| ran.outcome(name));
    assert_eq!((ran.exit, outcomes), (1, [Outcome::Crashed, Outcome::Passed, Outcome::Aborted]));
    assert!(ran.session("done").attempts[0].leaky, "its output is still open");
    let notice = "the process that loaded the noxfile died (signal: 11 (SIGSEGV)): no more sessions can start";
    assert_eq!(ran.record.notices, ["a notice", notice]);
    assert_eq!(ran.record.interrupt_cause.as_deref(), Some("host-died"));
}

#[test]
fn an_attempt_that_never_reports_its_end_is_abandoned_without_a_retry() {
    let directory = directory();
    let mut kept = Vec::new();
    let script = |_: &LaunchRequest, output: OwnedFd, _: &Sender<RunMessage>| {
        kept.push(output);
        Ok(())
    };
    let retries = RetryPolicy { count: 5, delay: Duration::ZERO, backoff: RetryBackoff::Fixed };
    let options = RunOptions { timeout: Some(Duration::from_millis(100)), retries, ..options() };
    let ran = run(&manifest(vec![session("mute")]), &options, directory.path(), script, nothing);
    let mute = ran.session("mute");
    assert_eq!((ran.exit, mute.outcome, mute.attempts.len()), (1, Outcome::TimedOut, 1));
    assert_eq!(mute.reason, "still running after its timeout of 100ms");
    assert!(ran.elapsed < Duration::from_secs(10));
}

#[test]
fn a_session_interrupted_before_its_process_exists_is_ended_once_it_does() {
    let directory = directory();
    let mut child = None;
    let script = |request: &LaunchRequest, output: OwnedFd, sender: &Sender<RunMessage>| {
        sender.send(RunMessage::Signal(SignalEvent::End(2))).unwrap();
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "trap '' INT TERM; sleep 641.41; true"]).stdout(output);
        let started = std::os::unix::process::CommandExt::process_group(&mut command, 0).spawn().unwrap();
        let (id, pid, sender) = (request.id, started.id(), sender.clone());
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            sender.send(RunMessage::Session(SessionEvent::Started { id, pid })).unwrap();
        });
        child = Some(started);
        Ok(())
    };
    // A parent that waits for the child, as the host does.
    let ran = run(&manifest(vec![session("late")]), &options(), directory.path(), script, nothing);
    assert_eq!((ran.exit, ran.outcome("late")), (130, Outcome::Cancelled));
    let status = child.unwrap().wait_for_end();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
}

#[test]
fn an_interrupt_between_two_attempts_cancels_the_retry() {
    let directory = directory();
    let script = |request: &LaunchRequest, _: OwnedFd, sender: &Sender<RunMessage>| {
        sender.send(finished(request.id, Outcome::Failed)).unwrap();
        Ok(())
    };
    let act = |kind: &EventKind, sender: &Sender<RunMessage>| {
        if matches!(kind, EventKind::SessionRetried { .. }) {
            sender.send(RunMessage::Signal(SignalEvent::End(15))).unwrap();
        }
    };
    let retries = RetryPolicy { count: 3, delay: Duration::from_secs(600), backoff: RetryBackoff::Fixed };
    let ran =
        run(&manifest(vec![session("fails")]), &RunOptions { retries, ..options() }, directory.path(), script, act);
    let fails = ran.session("fails");
    assert_eq!((ran.exit, fails.outcome, fails.attempts.len()), (143, Outcome::Failed, 1));
    assert_eq!(fails.reason, "not retried: interrupted by SIGTERM");
    assert!(ran.elapsed < Duration::from_secs(60));
}

#[test]
fn a_signal_before_the_first_start_lets_nothing_start() {
    let directory = directory();
    let script = |_: &LaunchRequest, _: OwnedFd, _: &Sender<RunMessage>| panic!("must not start");
    let act = |kind: &EventKind, sender: &Sender<RunMessage>| {
        if matches!(kind, EventKind::RunStarted(_)) {
            sender.send(RunMessage::Signal(SignalEvent::ShowStatus)).unwrap();
            sender.send(RunMessage::Signal(SignalEvent::Resume)).unwrap();
            sender.send(RunMessage::Signal(SignalEvent::End(1))).unwrap();
        }
    };
    let ran = run(&manifest(vec![session("one")]), &options(), directory.path(), script, act);
    assert_eq!((ran.exit, ran.outcome("one"), ran.status_requests), (129, Outcome::Aborted, 1));
    assert_eq!(ran.record.interrupt_cause.as_deref(), Some("SIGHUP"));
}

#[test]
fn notify_adds_a_session_once_and_none_to_a_stopping_run() {
    for stopping in [false, true] {
        let directory = directory();
        let mut requests = Vec::new();
        let script = |request: &LaunchRequest, _: OwnedFd, sender: &Sender<RunMessage>| {
            requests.push((request.id, request.posargs.clone()));
            if request.id == ManifestIndex(0) {
                if stopping {
                    sender.send(RunMessage::Signal(SignalEvent::End(2))).unwrap();
                }
                for posargs in [Some(vec!["a".to_owned()]), None] {
                    let (target, matches) = (ManifestIndex(1), vec![ManifestIndex(1)]);
                    let notified = SessionEvent::Notified { id: ManifestIndex(0), target, matches, posargs };
                    sender.send(RunMessage::Session(notified)).unwrap();
                }
            }
            sender.send(finished(request.id, Outcome::Passed)).unwrap();
            Ok(())
        };
        let mut sessions = manifest(vec![session("calls"), session("called")]);
        sessions.queue = vec![ManifestIndex(0)];
        let ran = run(&sessions, &options(), directory.path(), script, nothing);
        if stopping {
            assert_eq!((ran.exit, ran.record.sessions.len()), (130, 1));
        } else {
            assert_eq!((ran.exit, ran.outcome("called")), (0, Outcome::Passed));
            assert_eq!(requests, [(ManifestIndex(0), None), (ManifestIndex(1), Some(vec!["a".to_owned()]))]);
        }
    }
}

#[test]
fn a_log_that_cannot_be_written_is_reported_and_fails_nothing() {
    let directory = directory();
    std::fs::remove_dir(directory.path().join("logs")).unwrap();
    fs_err::write(directory.path().join("logs"), "in the way").unwrap();
    let script = |request: &LaunchRequest, output: OwnedFd, sender: &Sender<RunMessage>| {
        rustix::io::write(&output, b"said\n").unwrap();
        sender.send(finished(request.id, Outcome::Passed)).unwrap();
        Ok(())
    };
    let ran = run(&manifest(vec![session("one")]), &options(), directory.path(), script, nothing);
    assert_eq!((ran.exit, ran.outcome("one"), ran.session("one").attempts[0].log_bytes), (0, Outcome::Passed, 0));
    assert!(ran.record.notices[1].starts_with("the log of one is incomplete: "), "{:?}", ran.record.notices);
}

#[test]
fn sessions_off_the_longest_chain_are_nice_unless_they_have_a_timeout() {
    let directory = directory();
    let nice = RefCell::new(BTreeMap::new());
    let sessions = manifest(["longest", "long", "short", "limited", "silent"].into_iter().map(session).collect());
    let mut options = RunOptions { jobs: NonZeroUsize::new(4), ..options() };
    let seconds = |most| Some(Duration::from_secs(most));
    options.session_overrides = vec![
        SessionOverrides { timeout: seconds(15), ..rule("limited") },
        SessionOverrides { idle_timeout: seconds(60), ..rule("silent") },
    ];
    let script = |request: &LaunchRequest, _: OwnedFd, sender: &Sender<RunMessage>| {
        nice.borrow_mut().insert(request.id.0, request.nice);
        sender.send(finished(request.id, Outcome::Passed)).unwrap();
        Ok(())
    };
    let mut first = run(&sessions, &options, directory.path(), script, nothing).record;
    assert!(nice.borrow().values().all(|nice| *nice == 0), "nothing is known of the first run");
    for (session, millis) in first.sessions.iter_mut().zip([60_000, 5_000, 900, 5_000, 5_000]) {
        let attempt = &mut session.result.as_mut().unwrap().attempts[0];
        attempt.end = attempt.start + millis;
    }
    run_after(SessionHistory::from_records(&[first]), &sessions, &options, directory.path(), script, nothing);
    assert_eq!(nice.into_inner().into_values().collect::<Vec<_>>(), [0, 15, 0, 0, 0]);
}
