//! Launcher that starts sessions through the nox host process.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use super::dispatcher::RunMessage;
use super::launcher::{ExitReport, LaunchRequest, OrderConflict, PathConflict, SessionEvent, SessionLauncher};
use super::nox_report::NoxResults;
use super::run_tracing::RunTracing;
use crate::project::{
    CommandUse, FinishedMessage, Host, HostMessage, HostMessages, HostRunRequest, ManifestIndex, NoxStatus,
};
use crate::record::{InstallStats, Outcome};

/// Starts sessions through the host.
#[derive(Debug)]
pub(crate) struct HostLauncher<'a> {
    host: &'a mut Host,
    tracing: RunTracing,
    nox_results: Arc<Mutex<NoxResults>>,
}

impl<'a> HostLauncher<'a> {
    /// Creates a launcher; a thread forwards the messages of `host` to `sender`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn new(host: &'a mut Host, tracing: RunTracing, sender: Sender<RunMessage>) -> io::Result<Self> {
        let messages = host.take_messages();
        let nox_results = Arc::<Mutex<NoxResults>>::default();
        let results = Arc::clone(&nox_results);
        std::thread::Builder::new()
            .name("host".to_owned())
            .spawn(move || forward_messages(messages, &results, &sender))?;
        Ok(Self { host, tracing, nox_results })
    }

    /// Returns the traces of the sessions, and nox's results.
    pub(crate) fn into_tracing_and_results(self) -> (RunTracing, NoxResults) {
        let results = std::mem::take(&mut *self.nox_results.lock().unwrap_or_else(PoisonError::into_inner));
        (self.tracing, results)
    }
}

fn forward_messages(messages: HostMessages, results: &Mutex<NoxResults>, sender: &Sender<RunMessage>) {
    for message in messages {
        if let HostMessage::Finished(finished) = &message {
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results.record(finished.id, to_outcome(finished.status), finished.entry.clone());
        }
        if sender.send(RunMessage::Session(to_session_event(message))).is_err() {
            return;
        }
    }
    // Sending fails only after the run, when the receiver is dropped.
    let _ = sender.send(RunMessage::HostExited);
}

impl SessionLauncher for HostLauncher<'_> {
    fn launch(&mut self, request: &LaunchRequest, output: OwnedFd) -> io::Result<()> {
        let need_statuses = request.need_outcomes.iter().map(|(id, outcome)| (*id, to_nox_status(*outcome))).collect();
        let traced = self.tracing.begin_session(request)?;
        let (env, seccomp, socket) = match traced {
            Some(traced) => (traced.env, Some(traced.setup), Some(traced.socket)),
            None => (Vec::new(), None, None),
        };
        let host_request = HostRunRequest {
            id: request.id,
            need_statuses,
            posargs: request.posargs.clone(),
            env: request.env.iter().cloned().chain(env).collect(),
            nice: request.nice,
            leak_timeout_ms: request.leak_timeout_ms,
            remaining_starts: request.remaining_starts,
            seccomp,
        };
        match socket {
            Some(socket) => self.host.run_session_traced(&host_request, output.as_fd(), output.as_fd(), socket.as_fd()),
            None => self.host.run_session(&host_request, output.as_fd(), output.as_fd()),
        }
    }

    fn allow_continue(&mut self, id: ManifestIndex, allowed: bool) {
        self.host.allow_continue(id, allowed);
    }

    fn on_attempt_finished(&mut self, id: ManifestIndex, outcome: Outcome, uses: &[CommandUse]) {
        self.tracing.end_session(id, outcome, uses);
    }

    fn find_overlap_conflict(&self, failed: ManifestIndex, other: ManifestIndex) -> Option<PathConflict> {
        self.tracing.find_overlap_conflict(failed, other)
    }

    fn stop_tracing_unprivileged(&mut self, id: ManifestIndex) -> Option<String> {
        self.tracing.stop_tracing_unprivileged(id)
    }

    fn can_find_order_conflicts(&self) -> bool {
        self.tracing.is_learning()
    }

    fn find_order_conflict(&mut self, earlier: ManifestIndex, later: ManifestIndex) -> Option<OrderConflict> {
        self.tracing.find_order_conflict(earlier, later)
    }

    fn kept_files(&self, id: ManifestIndex) -> Vec<String> {
        self.tracing.kept_files(id)
    }

    fn exit_description(&mut self) -> Option<String> {
        self.host.exit_description()
    }
}

fn to_session_event(message: HostMessage) -> SessionEvent {
    match message {
        HostMessage::Started { id, pid } => SessionEvent::Started { id, pid },
        HostMessage::Notify { id, target, matches, posargs } => SessionEvent::Notified { id, target, matches, posargs },
        HostMessage::Interrupted { id, timeout_ms } => SessionEvent::InterruptedWithTimeout { id, timeout_ms },
        HostMessage::ExitedCleanlyOnInterrupt { id } => SessionEvent::ExitedCleanlyOnInterrupt { id },
        HostMessage::Waiting { id, resource } => SessionEvent::Waiting { id, resource },
        HostMessage::Finished(finished) => SessionEvent::Exited(to_exit_report(finished)),
    }
}

fn to_exit_report(finished: FinishedMessage) -> ExitReport {
    ExitReport {
        id: finished.id,
        outcome: to_outcome(finished.status),
        reason: finished.reason,
        exit: finished.exit_code,
        signal: finished.signal,
        cpu: Some(finished.cpu_ms),
        peak_memory: Some(finished.peak_kib.saturating_mul(1024)),
        leaked: finished.leaked,
        notices: finished.notices,
        uses: finished.uses,
        install: finished.installs.map(|totals| InstallStats {
            wall_ms: totals.duration_ms,
            commands: totals.commands,
            skipped: totals.skipped,
        }),
    }
}

fn to_outcome(status: NoxStatus) -> Outcome {
    match status {
        NoxStatus::Success => Outcome::Passed,
        NoxStatus::Failed => Outcome::Failed,
        NoxStatus::Skipped => Outcome::Skipped,
        NoxStatus::Aborted => Outcome::Aborted,
        NoxStatus::Interrupted => Outcome::Cancelled,
        NoxStatus::Crashed => Outcome::Crashed,
    }
}

/// Returns the status of a required session as nox expects it.
fn to_nox_status(outcome: Outcome) -> NoxStatus {
    match outcome {
        Outcome::Passed => NoxStatus::Success,
        Outcome::Skipped => NoxStatus::Skipped,
        Outcome::Aborted => NoxStatus::Aborted,
        Outcome::Failed | Outcome::TimedOut | Outcome::Crashed | Outcome::Cancelled => NoxStatus::Failed,
    }
}
