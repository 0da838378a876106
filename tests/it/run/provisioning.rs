//! Dependencies provided while sessions run, by a fake provisioner: order, ends, and a provisioner that crashes.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use noxide::cache::ProgressReporter;
use noxide::project::{ManifestIndex, NoxfileManifest, Session};
use noxide::provision::{FinishedSession, ProvisionReport, ProvisionResult, ProvisionWorker, Provisioner};
use noxide::record::{CacheStats, EventKind, Outcome, RunRecord};
use noxide::run::process::SignalEvent;
use noxide::run::{LaunchRequest, RunMessage, RunOptions, SessionEvent};

use crate::support::{Dispatch, EventLog, FnLauncher, finished, manifest, session};

/// Longer than any test here takes.
const LONG: Duration = Duration::from_secs(20);

fn forward(sender: Sender<RunMessage>) -> impl Fn(ProvisionReport) {
    move |report| sender.send(RunMessage::Provision(report)).unwrap_or(())
}

/// Stores the calls; may wait for a message before it provisions one session.
struct FakeProvisioner {
    blocked: Option<ManifestIndex>,
    unblock: Receiver<()>,
    saved: Vec<FinishedSession>,
}

impl Provisioner for FakeProvisioner {
    fn provision_session(&mut self, id: ManifestIndex, _: &dyn ProgressReporter) -> ProvisionResult {
        if self.blocked == Some(id) {
            self.unblock.recv_timeout(LONG).expect("a message to go on");
        }
        let env = vec![("PROVIDED".to_owned(), id.0.to_string())];
        ProvisionResult {
            cache: Some(CacheStats { hits: 3, ..CacheStats::default() }),
            env,
            notices: vec![format!("for {}", id.0)],
        }
    }

    fn save_finished(&mut self, sessions: &[FinishedSession], _: &dyn ProgressReporter) {
        self.saved.extend(sessions);
    }
}

/// A run that has ended.
struct ProvisionedRun {
    exit: u8,
    restored: Vec<(String, usize)>,
    started: Vec<(String, usize)>,
    requests: Vec<LaunchRequest>,
    record: RunRecord,
    saved: Vec<usize>,
}

impl ProvisionedRun {
    /// The position of the event that a session's dependencies are restored.
    fn restored(&self, name: &str) -> usize {
        self.restored.iter().find(|(session, _)| session == name).unwrap().1
    }

    /// The position of the event that a session started.
    fn started(&self, name: &str) -> usize {
        self.started.iter().find(|(session, _)| session == name).unwrap().1
    }

    fn env(&self, id: usize) -> Vec<&str> {
        let request = self.requests.iter().find(|request| request.id == ManifestIndex(id)).unwrap();
        request.env.iter().filter(|(name, _)| name == "PROVIDED").map(|(_, value)| value.as_str()).collect()
    }
}

/// Runs a manifest whose sessions end as they start. The provisioner blocks before `blocked` until the first session
/// has started; the first session notifies `notifies`; with `interrupt`, SIGINT follows the first end instead.
fn run(
    manifest: &NoxfileManifest,
    blocked: Option<usize>,
    mut notifies: Option<usize>,
    interrupt: bool,
) -> ProvisionedRun {
    let directory = run_dir();
    let ((sender, messages), (unblock, blocker)) = (channel(), channel());
    let provisioner = FakeProvisioner { blocked: blocked.map(ManifestIndex), unblock: blocker, saved: Vec::new() };
    let worker = ProvisionWorker::spawn_worker(provisioner, forward(sender.clone())).unwrap();
    let mut requests = Vec::new();
    let launch = |request: &LaunchRequest, _| {
        requests.push(request.clone());
        if let Some(target) = notifies.take().map(ManifestIndex) {
            let notified = SessionEvent::Notified { id: request.id, target, matches: vec![target], posargs: None };
            sender.send(RunMessage::Session(notified)).unwrap();
        }
        if request.id == ManifestIndex(0) && !interrupt {
            // No receiver is blocked.
            let _ = unblock.send(());
        }
        sender.send(finished(request.id, Outcome::Passed)).unwrap();
        Ok(())
    };
    let mut interrupt = interrupt;
    let mut log = EventLog::new(|kind: &EventKind| {
        // The first end: by then every session that can start has started.
        if matches!(kind, EventKind::SessionFinished(_)) && std::mem::take(&mut interrupt) {
            sender.send(RunMessage::Signal(SignalEvent::End(2))).unwrap();
        }
    });
    let options = RunOptions::default();
    let dispatch =
        Dispatch { provision_queue: Some(worker.queue()), ..Dispatch::new(manifest, &options, directory.path()) };
    let mut launcher = FnLauncher { launch, exit_description: None };
    let exit = dispatch.run(&mut launcher, &mut log, (sender.clone(), messages));
    drop(launcher);
    let _ = unblock.send(());
    let saved = worker.join_worker().unwrap().saved.iter().map(|session| session.id.0).collect();
    let (mut restored, mut started) = (Vec::new(), Vec::new());
    for (position, event) in log.events.iter().enumerate() {
        match &event.kind {
            EventKind::SessionRestored { session, .. } => restored.push((session.to_string(), position)),
            EventKind::SessionStarted { session, .. } => started.push((session.to_string(), position)),
            _ => {}
        }
    }
    ProvisionedRun { exit, restored, started, requests, record: log.record(), saved }
}

/// A directory for a run and its logs.
fn run_dir() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("logs")).unwrap();
    directory
}

fn installs(name: &str) -> Session {
    Session { backend: "uv".to_owned(), ..session(name) }
}

#[test]
fn a_session_starts_once_its_own_dependencies_are_there() {
    let sessions = manifest(vec![installs("first"), installs("second"), session("plain")]);
    // If all were provisioned before any starts, the provisioner would block forever.
    let ran = run(&sessions, Some(1), None, false);
    assert_eq!(ran.exit, 0);
    assert!(ran.restored("first") < ran.started("first") && ran.restored("second") < ran.started("second"));
    assert!(ran.started("first") < ran.restored("second"));
    assert_eq!((ran.env(0), ran.env(1), ran.env(2).len()), (vec!["0"], vec!["1"], 0));
    let record = &ran.record;
    let cache = |name: &str| {
        let found = record.sessions.iter().find(|session| session.spec.name.as_str() == name).unwrap();
        found.result.as_ref().unwrap().cache.as_ref().map(|cache| cache.hits)
    };
    assert_eq!((cache("first"), cache("second"), cache("plain")), (Some(3), Some(3), None));
    assert_eq!(record.notices, ["for 0", "for 1"]);
    let mut saved = ran.saved;
    saved.sort_unstable();
    assert_eq!(saved, [0, 1], "each once, when it has ended; one without an environment has nothing to save");
}

#[test]
fn a_notified_session_is_provided_for_too() {
    let mut sessions = manifest(vec![installs("first"), installs("later")]);
    sessions.queue = vec![ManifestIndex(0)];
    let ran = run(&sessions, None, Some(1), false);
    assert_eq!((ran.exit, ran.env(1)), (0, vec!["1"]));
    assert!(ran.restored("later") < ran.started("later"));
}

#[test]
fn a_session_that_waits_when_the_run_is_interrupted_never_starts() {
    let mut after = installs("after");
    // Of both, so that neither is more urgent than the other.
    after.requires = vec![ManifestIndex(0), ManifestIndex(1)];
    let sessions = manifest(vec![installs("first"), installs("waits"), after]);
    let ran = run(&sessions, Some(1), None, true);
    assert_eq!((ran.exit, ran.requests.len()), (130, 1));
    let record = &ran.record;
    assert_eq!((record.count_outcome(Outcome::Passed), record.count_outcome(Outcome::Aborted)), (1, 2));
}

#[test]
fn sessions_run_without_a_provisioner_that_panics() {
    struct Panics;
    impl Provisioner for Panics {
        fn provision_session(&mut self, _: ManifestIndex, _: &dyn ProgressReporter) -> ProvisionResult {
            panic!("as planned")
        }

        fn save_finished(&mut self, _: &[FinishedSession], _: &dyn ProgressReporter) {}
    }
    let (directory, options) = (run_dir(), RunOptions::default());
    let sessions = manifest(vec![installs("first"), installs("second")]);
    let (sender, messages): (Sender<RunMessage>, _) = channel();
    let worker = ProvisionWorker::spawn_worker(Panics, forward(sender.clone())).unwrap();
    let mut launched = 0;
    let launch = |request: &LaunchRequest, _| {
        launched += 1;
        sender.send(finished(request.id, Outcome::Passed)).unwrap();
        Ok(())
    };
    let dispatch = Dispatch {
        slots: 1,
        provision_queue: Some(worker.queue()),
        ..Dispatch::new(&sessions, &options, directory.path())
    };
    let mut launcher = FnLauncher { launch, exit_description: None };
    assert_eq!(dispatch.run(&mut launcher, &mut EventLog::new(|_: &EventKind| {}), (sender.clone(), messages)), 0);
    assert_eq!(launched, 2);
    assert!(worker.join_worker().is_none());
}
