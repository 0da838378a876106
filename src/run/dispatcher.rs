//! The dispatcher: one event loop that owns a run's state, starts and ends sessions, and says what happens.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::attempt::RunningAttempt;
use super::capacity::available_memory;
use super::clock::RunClock;
use super::launcher::{LaunchEvent, SessionLauncher};
use super::memory_pressure::MemoryPressure;
use super::options::RunOptions;
use super::pending_provisions::PendingProvisions;
use super::plan::RunPlan;
use super::process::{SecretRedactor, SignalEvent};
use super::race_state::RaceState;
use super::scheduler::Scheduler;
use super::session_resources::SessionResources;
use crate::project::{NoxfileManifest, SessionId};
use crate::provision::{ProvisionQueue, ProvisionReport};
use crate::record::{AttemptResult, EventKind, EventSubscriber, InstallStats, RunEvent, RunMetadata, SessionHistory};

/// What reaches the event loop.
#[derive(Debug)]
pub enum RunMessage {
    /// The host speaks.
    Launch(LaunchEvent),
    /// The host is gone.
    HostExited,
    /// The last process that held an attempt's output is gone: place in the plan and attempt.
    OutputClosed(usize, u32),
    /// A session's outputs are gathered: place in the plan, and what did not go well.
    CleanupDone(usize, Vec<String>),
    /// The worker that restores dependencies has provisioned a session, or has ended.
    Provision(ProvisionReport),
    /// A signal reached noxide.
    Signal(SignalEvent),
}

/// How often growing logs are reported and screens may be redrawn.
pub(super) const TICK_INTERVAL: Duration = Duration::from_millis(100);

/// Everything a run is given.
pub struct RunContext<'a> {
    /// What will be done.
    pub plan: RunPlan,
    /// What the noxfile declares.
    pub manifest: &'a NoxfileManifest,
    /// What the caller chose.
    pub options: &'a RunOptions,
    /// What past runs say; lends durations to sessions added later.
    pub history: &'a SessionHistory,
    /// The run's folder; logs go to `logs` below it.
    pub folder: &'a Path,
    /// What is known at the start.
    pub facts: RunMetadata,
    /// A text that no other run of this machine has: what all its processes are known by.
    pub process_tag: String,
    /// Size of the terminal sessions write to; none gives them pipes.
    pub terminal: Option<(u16, u16)>,
    /// Secrets that no log may show.
    pub redactor: SecretRedactor,
    /// Sentences to begin with.
    pub notices: Vec<String>,
    /// Environment that all sessions get.
    pub env: Vec<(String, String)>,
    /// What sessions are lent: their share of the machine.
    pub resources: &'a SessionResources,
    /// Where to ask for what sessions install; none where that is theirs alone.
    pub provision_queue: Option<&'a ProvisionQueue>,
}

/// A run while it lasts.
pub struct Dispatcher<'a> {
    pub(super) context: RunContext<'a>,
    pub(super) launcher: &'a mut dyn SessionLauncher,
    pub(super) subscriber: &'a mut dyn EventSubscriber,
    pub(super) messages: Receiver<RunMessage>,
    pub(super) sender: Sender<RunMessage>,
    pub(super) clock: RunClock,
    pub(super) scheduler: Scheduler,
    pub(super) running: BTreeMap<usize, RunningAttempt>,
    pub(super) pending_retries: BTreeMap<usize, (u64, Vec<usize>)>,
    pub(super) attempts: BTreeMap<usize, Vec<AttemptResult>>,
    pub(super) posargs: BTreeMap<usize, Vec<String>>,
    pub(super) installs: BTreeMap<usize, InstallStats>,
    pub(super) cleaning_up: BTreeMap<usize, AttemptResult>,
    pub(super) cleanup_cancelled: Arc<AtomicBool>,
    pub(super) memory_pressure: MemoryPressure,
    pub(super) niceness: BTreeMap<usize, i32>,
    pub(super) races: RaceState,
    pub(super) provisions: PendingProvisions,
    pub(super) last_tick: u64,
    pub(super) ending_signal: Option<i32>,
    pub(super) failed: bool,
    pub(super) stopping: bool,
}

impl<'a> Dispatcher<'a> {
    /// A run that is about to begin. `sender` feeds `messages`; the host's reader and the signals hold clones of it.
    pub fn new(
        given: RunContext<'a>,
        launcher: &'a mut dyn SessionLauncher,
        subscriber: &'a mut dyn EventSubscriber,
        (sender, messages): (Sender<RunMessage>, Receiver<RunMessage>),
    ) -> Self {
        let scheduler = given.plan.new_scheduler();
        let pressure = MemoryPressure::new(available_memory, given.plan.memory);
        Self {
            context: given,
            launcher,
            subscriber,
            messages,
            sender,
            clock: RunClock::start(),
            scheduler,
            running: BTreeMap::new(),
            pending_retries: BTreeMap::new(),
            attempts: BTreeMap::new(),
            posargs: BTreeMap::new(),
            installs: BTreeMap::new(),
            cleaning_up: BTreeMap::new(),
            cleanup_cancelled: Arc::default(),
            memory_pressure: pressure,
            niceness: BTreeMap::new(),
            races: RaceState::default(),
            provisions: PendingProvisions::default(),
            last_tick: 0,
            ending_signal: None,
            failed: false,
            stopping: false,
        }
    }

    /// Watches another source of what memory is available than the machine.
    #[must_use]
    pub fn with_memory_source(mut self, available: fn() -> Option<u64>) -> Self {
        self.memory_pressure = MemoryPressure::new(available, self.context.plan.memory);
        self
    }

    /// Runs until every session is over and gives the exit code: 0, 1, or 128 and the number of the signal.
    pub fn run(mut self) -> u8 {
        self.emit_event(EventKind::RunStarted(self.context.facts.clone()));
        for text in std::mem::take(&mut self.context.notices) {
            self.emit_event(EventKind::Notice { text });
        }
        self.enqueue_planned_sessions();
        // Signals that came before there was anything to start keep it so.
        self.drain_messages();
        loop {
            self.start_sessions();
            if self.scheduler.is_finished() {
                break;
            }
            match self.messages.recv_timeout(self.wakeup_delay()) {
                Ok(message) => {
                    self.handle_message(message);
                    self.drain_messages();
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            self.handle_tick();
        }
        let exit = match self.ending_signal {
            Some(signal) => SignalEvent::exit_code(signal),
            None => u8::from(self.failed),
        };
        self.emit_event(EventKind::RunFinished { exit });
        exit
    }

    pub(super) fn emit_event(&mut self, fact: EventKind) {
        self.subscriber.on_event(&RunEvent { at: self.clock.now(), fact });
    }

    fn drain_messages(&mut self) {
        while let Ok(message) = self.messages.try_recv() {
            self.handle_message(message);
        }
    }

    fn handle_message(&mut self, message: RunMessage) {
        match message {
            RunMessage::Launch(LaunchEvent::Started { id, pid }) => self.handle_started(id, pid),
            RunMessage::Launch(LaunchEvent::Notified { id, target, matches, posargs }) => {
                self.handle_notify(id, target, &matches, posargs);
            }
            RunMessage::Launch(LaunchEvent::Finished(finish)) => self.handle_finished(finish),
            RunMessage::OutputClosed(place, number) => self.handle_output_closed(place, number),
            RunMessage::CleanupDone(place, notices) => self.handle_cleanup_done(place, notices),
            RunMessage::Provision(ProvisionReport::Provisioned(id, result)) => self.handle_provisioned(id, result),
            RunMessage::Provision(ProvisionReport::WorkerExited) => self.handle_worker_exit(),
            RunMessage::HostExited => self.handle_host_exit(),
            RunMessage::Signal(caught) => self.handle_signal(caught),
        }
    }

    /// How long the loop may sleep: to the next deadline, and no longer than a tick while something runs.
    fn wakeup_delay(&self) -> Duration {
        let now = self.clock.now();
        let next = self.pending_retries.values().map(|(at, _)| *at).min().unwrap_or(u64::MAX);
        TICK_INTERVAL.min(Duration::from_millis(next.saturating_sub(now)))
    }

    pub(super) fn session_index(&self, id: SessionId) -> Option<usize> {
        self.context.plan.sessions.iter().position(|session| session.id == id)
    }
}
