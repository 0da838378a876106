//! Memory pressure: the dispatcher with a launcher of the test's own, which steers who ends when.

use std::os::fd::OwnedFd;
use std::sync::mpsc::{self, Sender};

use noxide::project::SessionId;
use noxide::record::{
    EventKind, EventSubscriber, Machine, Outcome, RunEvent, RunMetadata, RunRecord, RunRecorder, SessionHistory,
};
use noxide::run::process::SecretRedactor;
use noxide::run::{
    Dispatcher, ExitReport, LaunchEvent, LaunchRequest, RunCapacity, RunContext, RunMessage, RunOptions, RunPlan,
    SessionLauncher, SessionResources,
};

use crate::given::{manifest, session};

/// Ends every session at once but the second, which ends when people were told of the pressure.
struct Instant(Sender<RunMessage>);

fn passed(id: SessionId) -> RunMessage {
    let finish = ExitReport { outcome: Outcome::Passed, ..ExitReport::crashed(id, String::new()) };
    RunMessage::Launch(LaunchEvent::Finished(finish))
}

impl SessionLauncher for Instant {
    fn launch(&mut self, order: &LaunchRequest, _: OwnedFd) -> std::io::Result<()> {
        if order.id != SessionId(1) {
            self.0.send(passed(order.id)).unwrap();
        }
        Ok(())
    }
}

struct Watches(Sender<RunMessage>, Vec<RunEvent>);

impl EventSubscriber for Watches {
    fn on_event(&mut self, event: &RunEvent) {
        self.1.push(event.clone());
        if matches!(&event.fact, EventKind::Notice { text } if text.starts_with("low memory (1 MiB available)")) {
            self.0.send(passed(SessionId(1))).unwrap();
        }
    }

    fn on_tick(&mut self, _: u64) {}

    fn on_status_request(&mut self) {}
}

#[test]
fn nothing_more_starts_while_memory_is_short() {
    let manifest = manifest(["a", "b", "c", "d"].map(session).to_vec());
    let (options, history) = (RunOptions::default(), SessionHistory::default());
    let plan = RunPlan::new(&manifest, &options, &history, RunCapacity { slots: 2, memory: 0 }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let recorder = RunRecorder::create(run.clone()).unwrap();
    let (sender, messages) = mpsc::channel();
    let (mut launcher, mut watches) = (Instant(sender.clone()), Watches(sender.clone(), Vec::new()));
    let given = RunContext {
        facts: RunMetadata {
            run: "1".to_owned(),
            time: String::new(),
            root: folder.path().to_path_buf(),
            slots: 2,
            sessions: plan.sessions.iter().map(|session| session.facts.clone()).collect(),
            commit: None,
            versions: Vec::new(),
            shard: None,
        },
        plan,
        manifest: &manifest,
        options: &options,
        history: &history,
        folder: &run,
        terminal: None,
        redactor: SecretRedactor::default(),
        process_tag: format!("pressure.{}", std::process::id()),
        notices: Vec::new(),
        env: Vec::new(),
        resources: &SessionResources::default(),
        provision_queue: None,
    };
    let dispatcher = Dispatcher::new(given, &mut launcher, &mut watches, (sender, messages));
    assert_eq!(dispatcher.with_memory_source(|| Some(1 << 20)).run(), 0);
    drop(recorder);
    let place = |wanted: &dyn Fn(&EventKind) -> bool| watches.1.iter().position(|event| wanted(&event.fact)).unwrap();
    let ended = |name: &str| place(&|fact| matches!(fact, EventKind::SessionFinished(r) if r.session.as_str() == name));
    let started = |name: &str| {
        place(&|fact| matches!(fact, EventKind::SessionStarted { session, .. } if session.as_str() == name))
    };
    assert!(ended("a") < started("c"), "two slots");
    assert!(ended("b") < started("c"), "memory holds c back until nothing runs");
    let record = RunRecord::from_events(&watches.1, Machine::detect()).unwrap();
    assert_eq!(record.notices.len(), 1, "said once: {:?}", record.notices);
    assert_eq!(record.count_outcome(Outcome::Passed), 4);
}
