//! What sessions install is had just in time, by a double in the cache's place: order, ends, and grief.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use noxide::cache::Progress;
use noxide::project::{Manifest, Session, SessionId};
use noxide::record::{CacheUse, Event, Fact, History, Machine, Outcome, Record, RunFacts, Subscriber};
use noxide::run::process::{Caught, Mask};
use noxide::run::{
    Answer, Dispatcher, Finish, Given, Launch, Lent, Message, Order, Provide, Provided, Provider, Room, RunOptions,
    RunPlan, SessionOver,
};

use crate::given::{manifest, session};

/// Longer than anything here takes; who waits so long waits for ever.
const LONG: Duration = Duration::from_secs(20);

/// Notes errands; may wait for a word before it has what a session wants.
struct Double {
    waits: Option<SessionId>,
    word: Receiver<()>,
    over: Vec<SessionOver>,
}

impl Provide for Double {
    fn before(&mut self, id: SessionId, _: &dyn Progress) -> Provided {
        if self.waits == Some(id) {
            self.word.recv_timeout(LONG).expect("somebody says the word");
        }
        let env = vec![("PROVIDED".to_owned(), id.0.to_string())];
        Provided {
            cache: Some(CacheUse { hits: 3, ..CacheUse::default() }),
            env,
            notices: vec![format!("for {}", id.0)],
        }
    }

    fn after(&mut self, over: &[SessionOver], _: &dyn Progress) {
        self.over.extend(over);
    }
}

/// Sessions end as they start; the first says the word. Keeps what they were given.
struct Instant {
    sender: Sender<Message>,
    word: Option<Sender<()>>,
    notifies: Option<SessionId>,
    orders: Vec<Order>,
}

impl Launch for Instant {
    fn launch(&mut self, order: &Order, _: std::os::fd::OwnedFd) -> std::io::Result<()> {
        self.orders.push(order.clone());
        if let Some(target) = self.notifies.take() {
            let answer = Answer::Notified { id: order.id, target, matches: vec![target], posargs: None };
            self.sender.send(Message::Answer(answer)).unwrap();
        }
        if let Some(word) = self.word.take_if(|_| order.id == SessionId(0)) {
            let _ = word.send(());
        }
        let finish = Finish { outcome: Outcome::Passed, ..Finish::crashed(order.id, String::new()) };
        self.sender.send(Message::Answer(Answer::Finished(finish))).unwrap();
        Ok(())
    }
}

struct Keeper {
    events: Vec<Event>,
    interrupts: Option<Sender<Message>>,
}

impl Subscriber for Keeper {
    fn event(&mut self, event: &Event) {
        self.events.push(event.clone());
        // Once all that can start has started.
        if matches!(&event.fact, Fact::SessionFinished(_))
            && let Some(sender) = self.interrupts.take()
        {
            sender.send(Message::Caught(Caught::End(2))).unwrap();
        }
    }

    fn tick(&mut self, _: u64) {}

    fn tell(&mut self) {}
}

struct Ran {
    exit: u8,
    events: Vec<Event>,
    orders: Vec<Order>,
    double: Option<Double>,
}

impl Ran {
    fn place(&self, wanted: &dyn Fn(&Fact) -> bool) -> usize {
        self.events.iter().position(|event| wanted(&event.fact)).unwrap_or_else(|| panic!("{:#?}", self.events))
    }

    fn restored(&self, name: &str) -> usize {
        self.place(&|fact| matches!(fact, Fact::SessionRestored { session, .. } if session.as_str() == name))
    }

    fn started(&self, name: &str) -> usize {
        self.place(&|fact| matches!(fact, Fact::SessionStarted { session, .. } if session.as_str() == name))
    }

    fn env(&self, id: usize) -> Vec<&str> {
        let order = self.orders.iter().find(|order| order.id == SessionId(id)).unwrap();
        order.env.iter().filter(|(name, _)| name == "PROVIDED").map(|(_, value)| value.as_str()).collect()
    }
}

/// Runs a manifest; the double waits before `waits` until the first session has started.
fn run(manifest: &Manifest, waits: Option<usize>, notifies: Option<usize>, interrupts: bool) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("logs")).unwrap();
    let (options, history) = (RunOptions::default(), History::default());
    let plan = RunPlan::new(manifest, &options, &history, Room { slots: 4, memory: 0 }).unwrap();
    let facts = facts(folder.path(), &plan);
    let ((sender, messages), (say, word)) = (channel(), channel());
    let double = Double { waits: waits.map(SessionId), word, over: Vec::new() };
    let provider = Provider::begin(double, sender.clone()).unwrap();
    let word = (!interrupts).then_some(say.clone());
    let mut launcher = Instant { sender: sender.clone(), word, notifies: notifies.map(SessionId), orders: Vec::new() };
    let mut keeper = Keeper { events: Vec::new(), interrupts: interrupts.then(|| sender.clone()) };
    let given = Given {
        plan,
        manifest,
        options: &options,
        history: &history,
        folder: folder.path(),
        facts,
        mark: format!("provided.{}", std::process::id()),
        terminal: None,
        mask: Mask::default(),
        notices: Vec::new(),
        env: Vec::new(),
        lent: &Lent::default(),
        errands: Some(provider.errands()),
    };
    let exit = Dispatcher::new(given, &mut launcher, &mut keeper, (sender, messages)).run();
    let _ = say.send(());
    Ran { exit, events: keeper.events, orders: launcher.orders, double: provider.end() }
}

fn facts(root: &Path, plan: &RunPlan) -> RunFacts {
    RunFacts {
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
    let record = Record::fold(&ran.events, Machine::here()).unwrap();
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
    let record = Record::fold(&ran.events, Machine::here()).unwrap();
    assert_eq!((record.count(Outcome::Passed), record.count(Outcome::Aborted)), (1, 2));
}

#[test]
fn sessions_go_on_without_one_that_came_to_grief() {
    struct Grief;
    impl Provide for Grief {
        fn before(&mut self, _: SessionId, _: &dyn Progress) -> Provided {
            panic!("as told")
        }

        fn after(&mut self, _: &[SessionOver], _: &dyn Progress) {}
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("logs")).unwrap();
    let (options, history) = (RunOptions::default(), History::default());
    let sessions = manifest(vec![installs("first"), installs("second")]);
    let plan = RunPlan::new(&sessions, &options, &history, Room { slots: 1, memory: 0 }).unwrap();
    let (sender, messages) = channel();
    let provider = Provider::begin(Grief, sender.clone()).unwrap();
    let mut launcher = Instant { sender: sender.clone(), word: None, notifies: None, orders: Vec::new() };
    let mut keeper = Keeper { events: Vec::new(), interrupts: None };
    let given = Given {
        facts: facts(folder.path(), &plan),
        plan,
        manifest: &sessions,
        options: &options,
        history: &history,
        folder: folder.path(),
        mark: format!("grief.{}", std::process::id()),
        terminal: None,
        mask: Mask::default(),
        notices: Vec::new(),
        env: Vec::new(),
        lent: &Lent::default(),
        errands: Some(provider.errands()),
    };
    assert_eq!(Dispatcher::new(given, &mut launcher, &mut keeper, (sender, messages)).run(), 0);
    assert_eq!(launcher.orders.len(), 2);
    assert!(provider.end().is_none());
}
