//! Dispatcher: the event loop of a run, which starts and stops sessions and emits events.
//!
//! It passes messages to types that each manage one concern (retries, cleanups, provisioning …) and acts on their
//! answers.

mod finish;
mod interrupt;
mod order_reruns;
mod start;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use signal_hook::consts::SIGINT;

use super::attempt::RunningAttempt;
use super::capacity::{MemoryPressure, available_memory};
use super::coverage_files::CoverageFiles;
use super::graph::PlanIndex;
use super::launcher::{SessionEvent, SessionLauncher};
use super::options::RunOptions;
use super::order_check::OrderCheck;
use super::pending_environments::PendingEnvironments;
use super::pending_provision::PendingProvision;
use super::plan::RunPlan;
use super::process::{SecretRedactor, SignalEvent};
use super::run_clock::{RetryQueue, RunClock};
use super::scheduler::Scheduler;
use super::session_cleanup::SessionCleanups;
use super::session_resources::SessionResources;
use super::solo_reruns::SoloReruns;
use crate::project::{CommandUse, ManifestIndex, NoxfileManifest, SessionName};
use crate::provision::{ProvisionQueue, ProvisionReport};
use crate::record::{AttemptResult, EventKind, EventSubscriber, InstallStats, RunEvent, RunMetadata, SessionHistory};

/// A message to the event loop.
#[derive(Debug)]
pub enum RunMessage {
    /// A session started, notified another or finished.
    Session(SessionEvent),
    /// The host process has exited.
    HostExited,
    /// Every process has closed the output of this attempt.
    OutputClosed(PlanIndex, u32),
    /// A session's cleanup is done; the notices describe its problems.
    CleanupDone(PlanIndex, Vec<String>),
    /// The provision worker has provisioned a session or exited.
    Provision(ProvisionReport),
    /// noxide received a signal.
    Signal(SignalEvent),
}

/// How often growing logs are reported and reporters may redraw.
const TICK_INTERVAL: Duration = Duration::from_millis(100);

/// Inputs of a run.
pub struct RunContext<'a> {
    /// The plan of the run.
    pub plan: RunPlan,
    /// The loaded noxfile.
    pub manifest: &'a NoxfileManifest,
    /// Resolved options.
    pub options: &'a RunOptions,
    /// Usual durations, for sessions added during the run.
    pub history: &'a SessionHistory,
    /// The run's directory; logs go to `logs` in it.
    pub run_dir: &'a Path,
    /// Metadata for the first event.
    pub metadata: RunMetadata,
    /// Tag of the run, unique on this machine.
    pub run_tag: String,
    /// Columns and rows of the terminal that sessions write to; with `None` they write to pipes.
    pub terminal: Option<(u16, u16)>,
    /// Secrets to mask in logs.
    pub redactor: SecretRedactor,
    /// Notices to emit first.
    pub notices: Vec<String>,
    /// Environment variables for all sessions.
    pub env: Vec<(String, String)>,
    /// CPU shares, temporary directories and the jobserver.
    pub resources: &'a SessionResources,
    /// Queue of the provision worker; `None` if sessions install everything themselves.
    pub provision_queue: Option<&'a ProvisionQueue>,
}

/// A run in progress.
pub struct Dispatcher<'a> {
    context: RunContext<'a>,
    launcher: &'a mut dyn SessionLauncher,
    subscriber: &'a mut dyn EventSubscriber,
    messages: Receiver<RunMessage>,
    sender: Sender<RunMessage>,
    clock: RunClock,
    scheduler: Scheduler,
    running: BTreeMap<PlanIndex, RunningAttempt>,
    session_states: BTreeMap<PlanIndex, SessionState>,
    retries: RetryQueue,
    solo_reruns: SoloReruns,
    order: OrderCheck,
    provision: PendingProvision<'a>,
    environments: PendingEnvironments,
    cleanups: SessionCleanups,
    coverage: CoverageFiles,
    memory_pressure: MemoryPressure,
    last_tick: u64,
    ending_signal: Option<i32>,
    stopping: bool,
    /// Whether a session was notified too late to be added.
    missed_notify: bool,
}

/// State of a session that outlives its attempts.
#[derive(Debug, Default)]
struct SessionState {
    attempts: Vec<AttemptResult>,
    install: Option<InstallStats>,
    /// Resources that its commands shared with other sessions, in the last attempt.
    uses: Option<Vec<CommandUse>>,
    /// Arguments passed by `session.notify`.
    posargs: Option<Vec<String>>,
    nice: i32,
    /// A program whose setuid bit or capabilities had no effect in the first attempt because the session was traced.
    unprivileged_program: Option<String>,
}

impl<'a> Dispatcher<'a> {
    /// Creates the dispatcher of a run that has not started. `sender` is the sender of `messages`; the threads that
    /// read from the host and handle signals have clones of it.
    pub fn new(
        context: RunContext<'a>,
        launcher: &'a mut dyn SessionLauncher,
        subscriber: &'a mut dyn EventSubscriber,
        (sender, messages): (Sender<RunMessage>, Receiver<RunMessage>),
    ) -> Self {
        Self {
            launcher,
            subscriber,
            messages,
            sender,
            clock: RunClock::start(),
            scheduler: context.plan.new_scheduler(),
            running: BTreeMap::new(),
            session_states: BTreeMap::new(),
            retries: RetryQueue::default(),
            solo_reruns: SoloReruns::default(),
            order: OrderCheck::default(),
            provision: PendingProvision::new(context.provision_queue),
            environments: PendingEnvironments::new(context.run_dir),
            cleanups: SessionCleanups::default(),
            coverage: CoverageFiles::new(context.run_dir),
            memory_pressure: MemoryPressure::new(available_memory, context.plan.memory),
            last_tick: 0,
            ending_signal: None,
            stopping: false,
            missed_notify: false,
            context,
        }
    }

    /// Replaces the function that reads how much memory is available.
    #[must_use]
    pub fn with_memory_source(mut self, available: fn() -> Option<u64>) -> Self {
        self.memory_pressure = MemoryPressure::new(available, self.context.plan.memory);
        self
    }

    /// Runs until every session is finished, and returns the exit code: 0, 1, or 128 plus the number of the signal.
    pub fn run(mut self) -> u8 {
        self.emit_event(EventKind::RunStarted(self.context.metadata.clone()));
        let notices = std::mem::take(&mut self.context.notices);
        self.emit_notices(notices);
        self.enqueue_planned_sessions();
        // Handle a signal that arrived before the first session starts.
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
        self.save_remaining_environments();
        let failed = self.missed_notify || self.scheduler.has_failures();
        let exit = match self.ending_signal {
            // As in nox, Ctrl-C in a server that then exits with 0 is its normal end.
            Some(SIGINT) if !failed => 0,
            Some(signal) => SignalEvent::exit_code(signal),
            None => u8::from(failed),
        };
        self.emit_event(EventKind::RunFinished { exit_code: exit });
        exit
    }

    fn drain_messages(&mut self) {
        while let Ok(message) = self.messages.try_recv() {
            self.handle_message(message);
        }
    }

    fn handle_message(&mut self, message: RunMessage) {
        match message {
            RunMessage::Session(SessionEvent::Started { id, pid }) => self.handle_started(id, pid),
            RunMessage::Session(SessionEvent::Notified { id, target, matches, posargs }) => {
                self.handle_notify(id, target, &matches, posargs);
            }
            RunMessage::Session(SessionEvent::InterruptedWithTimeout { id, timeout_ms }) => {
                self.extend_grace(id, timeout_ms);
            }
            RunMessage::Session(SessionEvent::ExitedCleanlyOnInterrupt { id }) => {
                self.handle_clean_exit_on_interrupt(id);
            }
            RunMessage::Session(SessionEvent::Waiting { id, resource }) => self.handle_waiting(id, resource.is_some()),
            RunMessage::Session(SessionEvent::Exited(report)) => self.handle_exited(report),
            RunMessage::OutputClosed(session, number) => self.handle_output_closed(session, number),
            RunMessage::CleanupDone(session, notices) => self.handle_cleanup_done(session, notices),
            RunMessage::Provision(ProvisionReport::Provisioned(id, result)) => self.handle_provisioned(id, result),
            RunMessage::Provision(ProvisionReport::WorkerExited) => self.provision.set_worker_exited(),
            RunMessage::HostExited => self.handle_host_exit(),
            RunMessage::Signal(signal) => self.handle_signal(signal),
        }
    }

    /// Returns how long the loop may sleep: until the next retry, at most one tick.
    fn wakeup_delay(&self) -> Duration {
        let next_retry = self.retries.until_next(self.clock.now());
        next_retry.map_or(TICK_INTERVAL, |delay| TICK_INTERVAL.min(Duration::from_millis(delay)))
    }

    /// Passes an event on. Every text that leaves a session passes here, so secrets are redacted here.
    fn emit_event(&mut self, mut kind: EventKind) {
        for text in kind.session_texts_mut() {
            *text = self.context.redactor.redact_text(text);
        }
        self.subscriber.on_event(&RunEvent { at: self.clock.now(), kind });
    }

    fn emit_notices(&mut self, notices: impl IntoIterator<Item = String>) {
        for text in notices {
            self.emit_event(EventKind::Notice { text });
        }
    }

    fn plan_index(&self, id: ManifestIndex) -> Option<PlanIndex> {
        self.context.plan.sessions.iter().position(|session| session.id == id).map(PlanIndex)
    }

    fn manifest_index(&self, session: PlanIndex) -> ManifestIndex {
        self.context.plan[session].id
    }

    fn session_name(&self, session: PlanIndex) -> SessionName {
        self.context.plan[session].spec.name.clone()
    }
}
