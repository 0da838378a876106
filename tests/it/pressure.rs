//! Memory pressure: the dispatcher with a launcher of the test's own, which steers who ends when.

use std::os::fd::OwnedFd;
use std::sync::mpsc::{self, Sender};

use noxide::project::SessionId;
use noxide::record::{Event, Fact, History, Machine, Outcome, Record, Recorder, RunFacts, Subscriber};
use noxide::run::process::Mask;
use noxide::run::{Answer, Dispatcher, Finish, Given, Launch, Lent, Message, Order, Room, RunOptions, RunPlan};

use crate::given::{manifest, session};

/// Ends every session at once but the second, which ends when people were told of the pressure.
struct Instant(Sender<Message>);

fn passed(id: SessionId) -> Message {
    let finish = Finish { outcome: Outcome::Passed, ..Finish::crashed(id, String::new()) };
    Message::Answer(Answer::Finished(finish))
}

impl Launch for Instant {
    fn launch(&mut self, order: &Order, _: OwnedFd) -> std::io::Result<()> {
        if order.id != SessionId(1) {
            self.0.send(passed(order.id)).unwrap();
        }
        Ok(())
    }
}

struct Watches(Sender<Message>, Vec<Event>);

impl Subscriber for Watches {
    fn event(&mut self, event: &Event) {
        self.1.push(event.clone());
        if matches!(&event.fact, Fact::Notice { text } if text.starts_with("memory is short (1 MiB left)")) {
            self.0.send(passed(SessionId(1))).unwrap();
        }
    }

    fn tick(&mut self, _: u64) {}

    fn tell(&mut self) {}
}

#[test]
fn nothing_more_starts_while_memory_is_short() {
    let manifest = manifest(["a", "b", "c", "d"].map(session).to_vec());
    let (options, history) = (RunOptions::default(), History::default());
    let plan = RunPlan::new(&manifest, &options, &history, Room { slots: 2, memory: 0 }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let recorder = Recorder::create(run.clone()).unwrap();
    let (sender, messages) = mpsc::channel();
    let (mut launcher, mut watches) = (Instant(sender.clone()), Watches(sender.clone(), Vec::new()));
    let given = Given {
        facts: RunFacts {
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
        mask: Mask::default(),
        mark: format!("pressure.{}", std::process::id()),
        notices: Vec::new(),
        env: Vec::new(),
        lent: &Lent::default(),
        errands: None,
    };
    let dispatcher = Dispatcher::new(given, &mut launcher, &mut watches, (sender, messages));
    assert_eq!(dispatcher.with_memory(|| Some(1 << 20)).run(), 0);
    drop(recorder);
    let place = |wanted: &dyn Fn(&Fact) -> bool| watches.1.iter().position(|event| wanted(&event.fact)).unwrap();
    let ended = |name: &str| place(&|fact| matches!(fact, Fact::SessionFinished(r) if r.session.as_str() == name));
    let started =
        |name: &str| place(&|fact| matches!(fact, Fact::SessionStarted { session, .. } if session.as_str() == name));
    assert!(ended("a") < started("c"), "two slots");
    assert!(ended("b") < started("c"), "memory holds c back until nothing runs");
    let record = Record::fold(&watches.1, Machine::here()).unwrap();
    assert_eq!(record.notices.len(), 1, "said once: {:?}", record.notices);
    assert_eq!(record.count(Outcome::Passed), 4);
}
