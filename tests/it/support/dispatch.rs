//! The dispatcher with a fake launcher and a fake subscriber, so that tests control timing and failures.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender};

use noxide::project::{ManifestIndex, NoxfileManifest};
use noxide::provision::ProvisionQueue;
use noxide::record::{EventKind, EventSubscriber, Machine, Outcome, RunEvent, RunMetadata, RunRecord, SessionHistory};
use noxide::run::process::SecretRedactor;
use noxide::run::{
    Dispatcher, ExitReport, LaunchRequest, RunCapacity, RunContext, RunMessage, RunOptions, RunPlan, SessionEvent,
    SessionLauncher, SessionResources,
};

use super::Deadline;

/// A run without a host.
pub(crate) struct Dispatch<'a> {
    pub(crate) manifest: &'a NoxfileManifest,
    pub(crate) options: &'a RunOptions,
    pub(crate) history: SessionHistory,
    pub(crate) slots: usize,
    /// The directory of the run; logs go to `logs` below it.
    pub(crate) run_dir: &'a Path,
    pub(crate) notices: Vec<String>,
    pub(crate) provision_queue: Option<&'a ProvisionQueue>,
    /// Where available memory is read instead of the system.
    pub(crate) memory: Option<fn() -> Option<u64>>,
}

impl<'a> Dispatch<'a> {
    /// A run of these sessions on four slots, without history.
    pub(crate) fn new(manifest: &'a NoxfileManifest, options: &'a RunOptions, run_dir: &'a Path) -> Self {
        Self {
            manifest,
            options,
            history: SessionHistory::default(),
            slots: 4,
            run_dir,
            notices: Vec::new(),
            provision_queue: None,
            memory: None,
        }
    }

    /// Runs to the end; returns the exit code.
    pub(crate) fn run(
        self,
        launcher: &mut dyn SessionLauncher,
        subscriber: &mut dyn EventSubscriber,
        channel: (Sender<RunMessage>, Receiver<RunMessage>),
    ) -> u8 {
        let capacity = RunCapacity { slots: self.slots, memory: 0 };
        let plan = RunPlan::new(self.manifest, self.options, &self.history, capacity).unwrap();
        let context = RunContext {
            metadata: RunMetadata {
                run_id: "1".to_owned(),
                started_at: "2026-11-23T05:00:00+00:00".to_owned(),
                root: self.run_dir.to_path_buf(),
                slots: self.slots,
                sessions: plan.sessions.iter().map(|planned| planned.spec.clone()).collect(),
                commit: None,
                tree: None,
                versions: Vec::new(),
                shard: None,
            },
            plan,
            manifest: self.manifest,
            options: self.options,
            history: &self.history,
            run_dir: self.run_dir,
            run_tag: format!("dispatch.{}", std::process::id()),
            terminal: None,
            redactor: SecretRedactor::default(),
            notices: self.notices,
            env: Vec::new(),
            resources: &SessionResources::default(),
            provision_queue: self.provision_queue,
        };
        let _deadline = Deadline::abort("a dispatcher");
        let dispatcher = Dispatcher::new(context, launcher, subscriber, channel);
        match self.memory {
            Some(memory) => dispatcher.with_memory_source(memory).run(),
            None => dispatcher.run(),
        }
    }
}

/// The message that a session ended.
pub(crate) fn finished(id: ManifestIndex, outcome: Outcome) -> RunMessage {
    let reason = if outcome == Outcome::Passed { String::new() } else { "exit code 1".to_owned() };
    let report = ExitReport {
        id,
        outcome,
        reason,
        exit: Some(0),
        signal: None,
        cpu: Some(1),
        peak_memory: Some(2),
        install: None,
        leaked: false,
        notices: Vec::new(),
        uses: None,
    };
    RunMessage::Session(SessionEvent::Exited(report))
}

/// A launcher that calls a function, which may report an exit, keep the output open, or fail.
pub(crate) struct FnLauncher<F> {
    pub(crate) launch: F,
    /// Exit description of the dead host.
    pub(crate) exit_description: Option<String>,
}

impl<F: FnMut(&LaunchRequest, OwnedFd) -> io::Result<()>> SessionLauncher for FnLauncher<F> {
    fn launch(&mut self, request: &LaunchRequest, output: OwnedFd) -> io::Result<()> {
        (self.launch)(request, output)
    }

    fn exit_description(&mut self) -> Option<String> {
        self.exit_description.clone()
    }
}

/// A subscriber that stores events and calls a function with each.
pub(crate) struct EventLog<F> {
    pub(crate) events: Vec<RunEvent>,
    pub(crate) status_requests: u32,
    on_event: F,
}

impl<F: FnMut(&EventKind)> EventLog<F> {
    pub(crate) fn new(on_event: F) -> Self {
        Self { events: Vec::new(), status_requests: 0, on_event }
    }

    /// The record that follows from the events.
    pub(crate) fn record(&self) -> RunRecord {
        RunRecord::from_events(&self.events, Machine::detect()).unwrap()
    }

    /// The position of the first such event.
    pub(crate) fn position(&self, is_wanted: impl Fn(&EventKind) -> bool) -> usize {
        let found = self.events.iter().position(|event| is_wanted(&event.kind));
        found.unwrap_or_else(|| panic!("{:#?}", self.events))
    }

    /// The position of the start of a session.
    pub(crate) fn started(&self, name: &str) -> usize {
        self.position(|kind| matches!(kind, EventKind::SessionStarted { session, .. } if session.as_str() == name))
    }
}

impl<F: FnMut(&EventKind)> EventSubscriber for EventLog<F> {
    fn on_event(&mut self, event: &RunEvent) {
        self.events.push(event.clone());
        (self.on_event)(&event.kind);
    }

    fn on_tick(&mut self, _: u64) {}

    fn on_status_request(&mut self) {
        self.status_requests += 1;
    }
}
