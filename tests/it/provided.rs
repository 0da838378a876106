//! What sessions install is had just in time, by a double in the cache's place: order, ends, and grief.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use noxide::cache::ProgressReporter;
use noxide::project::{NoxfileManifest, Session, SessionId};
use noxide::provision::{FinishedSession, ProvisionReport, ProvisionResult, ProvisionWorker, Provisioner};
use noxide::record::{
    CacheStats, EventKind, EventSubscriber, Machine, Outcome, RunEvent, RunMetadata, RunRecord, SessionHistory,
};
use noxide::run::process::{SecretRedactor, SignalEvent};
use noxide::run::{
    Dispatcher, ExitReport, LaunchEvent, LaunchRequest, RunCapacity, RunContext, RunMessage, RunOptions, RunPlan,
    SessionLauncher, SessionResources,
};

use crate::given::{manifest, session};

/// Longer than anything here takes; who waits so long waits for ever.
const LONG: Duration = Duration::from_secs(20);

/// Notes errands; may wait for a word before it has what a session wants.
struct Double {
    waits: Option<SessionId>,
    word: Receiver<()>,
    over: Vec<FinishedSession>,
}

impl Provisioner for Double {
    fn provision_session(&mut self, id: SessionId, _: &dyn ProgressReporter) -> ProvisionResult {
        if self.waits == Some(id) {
            self.word.recv_timeout(LONG).expect("somebody says the word");
        }
        let env = vec![("PROVIDED".to_owned(), id.0.to_string())];
        ProvisionResult {
            cache: Some(CacheStats { hits: 3, ..CacheStats::default() }),
            env,
            notices: vec![format!("for {}", id.0)],
        }
    }

    fn save_finished(&mut self, over: &[FinishedSession], _: &dyn ProgressReporter) {
        self.over.extend(over);
    }
}

/// Sessions end as they start; the first says the word. Keeps what they were given.
struct Instant {
    sender: Sender<RunMessage>,
    word: Option<Sender<()>>,
    notifies: Option<SessionId>,
    orders: Vec<LaunchRequest>,
}

impl SessionLauncher for Instant {
    fn launch(&mut self, order: &LaunchRequest, _: std::os::fd::OwnedFd) -> std::io::Result<()> {
        self.orders.push(order.clone());
        if let Some(target) = self.notifies.take() {
            let answer = LaunchEvent::Notified { id: order.id, target, matches: vec![target], posargs: None };
            self.sender.send(RunMessage::Launch(answer)).unwrap();
        }
        if let Some(word) = self.word.take_if(|_| order.id == SessionId(0)) {
            let _ = word.send(());
        }
        let finish = ExitReport { outcome: Outcome::Passed, ..ExitReport::crashed(order.id, String::new()) };
        self.sender.send(RunMessage::Launch(LaunchEvent::Finished(finish))).unwrap();
        Ok(())
    }
}

struct Keeper {
    events: Vec<RunEvent>,
    interrupts: Option<Sender<RunMessage>>,
}

impl EventSubscriber for Keeper {
    fn on_event(&mut self, event: &RunEvent) {
        self.events.push(event.clone());
        // Once all that can start has started.
        if matches!(&event.fact, EventKind::SessionFinished(_))
            && let Some(sender) = self.interrupts.take()
        {
            sender.send(RunMessage::Signal(SignalEvent::Terminate(2))).unwrap();
        }
    }

    fn on_tick(&mut self, _: u64) {}

    fn on_status_request(&mut self) {}
}

struct Ran {
    exit: u8,
    events: Vec<RunEvent>,
    orders: Vec<LaunchRequest>,
    double: Option<Double>,
}

impl Ran {
    fn place(&self, wanted: &dyn Fn(&EventKind) -> bool) -> usize {
        self.events.iter().position(|event| wanted(&event.fact)).unwrap_or_else(|| panic!("{:#?}", self.events))
    }

    fn restored(&self, name: &str) -> usize {
        self.place(&|fact| matches!(fact, EventKind::SessionRestored { session, .. } if session.as_str() == name))
    }

    fn started(&self, name: &str) -> usize {
        self.place(&|fact| matches!(fact, EventKind::SessionStarted { session, .. } if session.as_str() == name))
    }

    fn env(&self, id: usize) -> Vec<&str> {
        let order = self.orders.iter().find(|order| order.id == SessionId(id)).unwrap();
        order.env.iter().filter(|(name, _)| name == "PROVIDED").map(|(_, value)| value.as_str()).collect()
    }
}

/// Runs a manifest; the double waits before `waits` until the first session has started.
fn run(manifest: &NoxfileManifest, waits: Option<usize>, notifies: Option<usize>, interrupts: bool) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("logs")).unwrap();
    let (options, history) = (RunOptions::default(), SessionHistory::default());
    let plan = RunPlan::new(manifest, &options, &history, RunCapacity { slots: 4, memory: 0 }).unwrap();
    let facts = facts(folder.path(), &plan);
    let ((sender, messages), (say, word)) = (channel(), channel());
    let double = Double { waits: waits.map(SessionId), word, over: Vec::new() };
    let provider = ProvisionWorker::spawn_worker(double, forward(sender.clone())).unwrap();
    let word = (!interrupts).then_some(say.clone());
    let mut launcher = Instant { sender: sender.clone(), word, notifies: notifies.map(SessionId), orders: Vec::new() };
    let mut keeper = Keeper { events: Vec::new(), interrupts: interrupts.then(|| sender.clone()) };
    let given = RunContext {
        plan,
        manifest,
        options: &options,
        history: &history,
        folder: folder.path(),
        facts,
        process_tag: format!("provided.{}", std::process::id()),
        terminal: None,
        redactor: SecretRedactor::default(),
        notices: Vec::new(),
        env: Vec::new(),
        resources: &SessionResources::default(),
        provision_queue: Some(provider.queue()),
    };
    let exit = Dispatcher::new(given, &mut launcher, &mut keeper, (sender, messages)).run();
    let _ = say.send(());
    Ran { exit, events: keeper.events, orders: launcher.orders, double: provider.join_worker() }
}

fn forward(sender: Sender<RunMessage>) -> impl Fn(ProvisionReport) {
    move |report| sender.send(RunMessage::Provision(report)).unwrap_or(())
}

fn facts(root: &Path, plan: &RunPlan) -> RunMetadata {
    RunMetadata {
        run: "1".to_owned(),
        time: String::new(),
        root: root.to_path_buf(),
        slots: 4,
        sessions: plan.sessions.iter().map(|planned| planned.facts.clone()).collect(),
        commit: None,
        versions: Vec::new(),
        shard: None,
    }
}

fn installs(name: &str) -> Session {
    Session { backend: "uv".to_owned(), ..session(name) }
}

#[test]
fn a_session_starts_while_another_is_provided_for_and_none_before_it_is() {
    let sessions = manifest(vec![installs("first"), installs("second"), session("plain")]);
    // Had all to be there before any starts, nobody would say the word.
    let ran = run(&sessions, Some(1), None, false);
    assert_eq!(ran.exit, 0);
    assert!(ran.restored("first") < ran.started("first") && ran.restored("second") < ran.started("second"));
    assert!(ran.started("first") < ran.restored("second"), "{:#?}", ran.events);
    assert_eq!((ran.env(0), ran.env(1), ran.env(2).len()), (vec!["0"], vec!["1"], 0));
    let record = RunRecord::from_events(&ran.events, Machine::detect()).unwrap();
    let cache = |name: &str| {
        let found = record.sessions.iter().find(|session| session.facts.name.as_str() == name).unwrap();
        found.result.as_ref().unwrap().cache.as_ref().map(|cache| cache.hits)
    };
    assert_eq!((cache("first"), cache("second"), cache("plain")), (Some(3), Some(3), None));
    assert_eq!(record.notices, ["for 0", "for 1"]);
    let mut over: Vec<usize> = ran.double.unwrap().over.iter().map(|over| over.id.0).collect();
    over.sort_unstable();
    assert_eq!(over, [0, 1], "each once, when it is over; what has no environment is nothing to keep");
}

#[test]
fn one_that_is_notified_is_provided_for_too() {
    let mut sessions = manifest(vec![installs("first"), installs("later")]);
    sessions.queue = vec![SessionId(0)];
    let ran = run(&sessions, None, Some(1), false);
    assert_eq!((ran.exit, ran.env(1)), (0, vec!["1"]));
    assert!(ran.restored("later") < ran.started("later"));
}

#[test]
fn who_waits_when_the_run_ends_never_starts() {
    let mut after = installs("after");
    // Of both, so that neither is more urgent than the other.
    after.requires = vec![SessionId(0), SessionId(1)];
    let sessions = manifest(vec![installs("first"), installs("waits"), after]);
    let ran = run(&sessions, Some(1), None, true);
    assert_eq!((ran.exit, ran.orders.len()), (130, 1));
    let record = RunRecord::from_events(&ran.events, Machine::detect()).unwrap();
    assert_eq!((record.count_outcome(Outcome::Passed), record.count_outcome(Outcome::Aborted)), (1, 2));
}

#[test]
fn sessions_go_on_without_one_that_came_to_grief() {
    struct Grief;
    impl Provisioner for Grief {
        fn provision_session(&mut self, _: SessionId, _: &dyn ProgressReporter) -> ProvisionResult {
            panic!("as told")
        }

        fn save_finished(&mut self, _: &[FinishedSession], _: &dyn ProgressReporter) {}
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("logs")).unwrap();
    let (options, history) = (RunOptions::default(), SessionHistory::default());
    let sessions = manifest(vec![installs("first"), installs("second")]);
    let plan = RunPlan::new(&sessions, &options, &history, RunCapacity { slots: 1, memory: 0 }).unwrap();
    let (sender, messages) = channel();
    let provider = ProvisionWorker::spawn_worker(Grief, forward(sender.clone())).unwrap();
    let mut launcher = Instant { sender: sender.clone(), word: None, notifies: None, orders: Vec::new() };
    let mut keeper = Keeper { events: Vec::new(), interrupts: None };
    let given = RunContext {
        facts: facts(folder.path(), &plan),
        plan,
        manifest: &sessions,
        options: &options,
        history: &history,
        folder: folder.path(),
        process_tag: format!("grief.{}", std::process::id()),
        terminal: None,
        redactor: SecretRedactor::default(),
        notices: Vec::new(),
        env: Vec::new(),
        resources: &SessionResources::default(),
        provision_queue: Some(provider.queue()),
    };
    assert_eq!(Dispatcher::new(given, &mut launcher, &mut keeper, (sender, messages)).run(), 0);
    assert_eq!(launcher.orders.len(), 2);
    assert!(provider.join_worker().is_none());
}
