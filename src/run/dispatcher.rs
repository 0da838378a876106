//! The dispatcher: one event loop that owns a run's state, starts and ends sessions, and says what happens.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::attempt::Running;
use super::capacity::memory_available;
use super::clock::Clock;
use super::launch::{Answer, Launch};
use super::lent::Lent;
use super::options::RunOptions;
use super::plan::RunPlan;
use super::pressure::Pressure;
use super::process::{Caught, Mask};
use super::provide::{Errands, Provided, Providing};
use super::race::Racing;
use super::schedule::Scheduler;
use crate::project::{Manifest, SessionId};
use crate::record::{Attempt, Event, Fact, History, InstallUse, RunFacts, Subscriber};

/// What reaches the event loop.
#[derive(Debug)]
pub enum Message {
    /// The host speaks.
    Answer(Answer),
    /// The host is gone.
    HostGone,
    /// The last process that held an attempt's output is gone: place in the plan and attempt.
    Closed(usize, u32),
    /// A session's outputs are gathered: place in the plan, and what did not go well.
    Gathered(usize, Vec<String>),
    /// What a session installs is there, as far as can be.
    Provided(SessionId, Provided),
    /// Nobody provides for sessions any more.
    ProviderGone,
    /// A signal reached noxide.
    Caught(Caught),
}

/// How often growing logs are reported and screens may be redrawn.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Everything a run is given.
pub struct Given<'a> {
    /// What will be done.
    pub plan: RunPlan,
    /// What the noxfile declares.
    pub manifest: &'a Manifest,
    /// What the caller chose.
    pub options: &'a RunOptions,
    /// What past runs say; lends durations to sessions added later.
    pub history: &'a History,
    /// The run's folder; logs go to `logs` below it.
    pub folder: &'a Path,
    /// What is known at the start.
    pub facts: RunFacts,
    /// A text that no other run of this machine has: what all its processes are known by.
    pub mark: String,
    /// Size of the terminal sessions write to; none gives them pipes.
    pub terminal: Option<(u16, u16)>,
    /// Secrets that no log may show.
    pub mask: Mask,
    /// Sentences to begin with.
    pub notices: Vec<String>,
    /// Environment that all sessions get.
    pub env: Vec<(String, String)>,
    /// What sessions are lent: their share of the machine.
    pub lent: &'a Lent,
    /// Where to ask for what sessions install; none where that is theirs alone.
    pub errands: Option<&'a Errands>,
}

/// A run while it lasts.
pub struct Dispatcher<'a> {
    pub(super) given: Given<'a>,
    pub(super) launcher: &'a mut dyn Launch,
    pub(super) subscriber: &'a mut dyn Subscriber,
    pub(super) messages: Receiver<Message>,
    pub(super) sender: Sender<Message>,
    pub(super) clock: Clock,
    pub(super) scheduler: Scheduler,
    pub(super) running: BTreeMap<usize, Running>,
    pub(super) waiting_retry: BTreeMap<usize, (u64, Vec<usize>)>,
    pub(super) attempts: BTreeMap<usize, Vec<Attempt>>,
    pub(super) posargs: BTreeMap<usize, Vec<String>>,
    pub(super) installs: BTreeMap<usize, InstallUse>,
    pub(super) gathering: BTreeMap<usize, Attempt>,
    pub(super) hasten: Arc<AtomicBool>,
    pub(super) pressure: Pressure,
    pub(super) nice: BTreeMap<usize, i32>,
    pub(super) racing: Racing,
    pub(super) providing: Providing,
    pub(super) last_tick: u64,
    pub(super) ended_by: Option<i32>,
    pub(super) failed: bool,
    pub(super) stopping: bool,
}

impl<'a> Dispatcher<'a> {
    /// A run that is about to begin. `sender` feeds `messages`; the host's reader and the signals hold clones of it.
    pub fn new(
        given: Given<'a>,
        launcher: &'a mut dyn Launch,
        subscriber: &'a mut dyn Subscriber,
        (sender, messages): (Sender<Message>, Receiver<Message>),
    ) -> Self {
        let scheduler = given.plan.scheduler();
        let pressure = Pressure::new(memory_available, given.plan.memory);
        Self {
            given,
            launcher,
            subscriber,
            messages,
            sender,
            clock: Clock::start(),
            scheduler,
            running: BTreeMap::new(),
            waiting_retry: BTreeMap::new(),
            attempts: BTreeMap::new(),
            posargs: BTreeMap::new(),
            installs: BTreeMap::new(),
            gathering: BTreeMap::new(),
            hasten: Arc::default(),
            pressure,
            nice: BTreeMap::new(),
            racing: Racing::default(),
            providing: Providing::default(),
            last_tick: 0,
            ended_by: None,
            failed: false,
            stopping: false,
        }
    }

    /// Watches another source of what memory is available than the machine.
    #[must_use]
    pub fn with_memory(mut self, available: fn() -> Option<u64>) -> Self {
        self.pressure = Pressure::new(available, self.given.plan.memory);
        self
    }

    /// Runs until every session is over and gives the exit code: 0, 1, or 128 and the number of the signal.
    pub fn run(mut self) -> u8 {
        self.emit(Fact::RunStarted(self.given.facts.clone()));
        for text in std::mem::take(&mut self.given.notices) {
            self.emit(Fact::Notice { text });
        }
        self.provide_ahead();
        // Signals that came before there was anything to start keep it so.
        self.take_all();
        loop {
            self.start();
            if self.scheduler.is_over() {
                break;
            }
            match self.messages.recv_timeout(self.patience()) {
                Ok(message) => {
                    self.take(message);
                    self.take_all();
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            self.tick();
        }
        let exit = match self.ended_by {
            Some(signal) => Caught::exit(signal),
            None => u8::from(self.failed),
        };
        self.emit(Fact::RunFinished { exit });
        exit
    }

    pub(super) fn emit(&mut self, fact: Fact) {
        self.subscriber.event(&Event { at: self.clock.now(), fact });
    }

    fn take_all(&mut self) {
        while let Ok(message) = self.messages.try_recv() {
            self.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Answer(Answer::Started { id, pid }) => self.started(id, pid),
            Message::Answer(Answer::Notified { id, target, matches, posargs }) => {
                self.notified(id, target, &matches, posargs);
            }
            Message::Answer(Answer::Finished(finish)) => self.finished(finish),
            Message::Closed(place, number) => self.closed(place, number),
            Message::Gathered(place, notices) => self.gathered(place, notices),
            Message::Provided(id, provided) => self.provided(id, provided),
            Message::ProviderGone => self.provider_gone(),
            Message::HostGone => self.host_gone(),
            Message::Caught(caught) => self.caught(caught),
        }
    }

    /// How long the loop may sleep: to the next deadline, and no longer than a tick while something runs.
    fn patience(&self) -> Duration {
        let now = self.clock.now();
        let next = self.waiting_retry.values().map(|(at, _)| *at).min().unwrap_or(u64::MAX);
        TICK.min(Duration::from_millis(next.saturating_sub(now)))
    }

    pub(super) fn place(&self, id: SessionId) -> Option<usize> {
        self.given.plan.sessions.iter().position(|session| session.id == id)
    }
}
