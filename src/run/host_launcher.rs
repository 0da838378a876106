//! Launcher that starts sessions through the nox host process.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::Sender;

use super::dispatcher::RunMessage;
use super::launcher::{ExitReport, LaunchEvent, LaunchRequest, RaceConflict, SessionLauncher};
use super::run_tracing::RunTracing;
use crate::project::{
    CommandUse, FinishedMessage, Host, HostMessage, HostMessages, HostRunRequest, NoxStatus, SessionId,
};
use crate::record::{InstallStats, Outcome};
use crate::trace::SessionAccesses;

/// Starts sessions through the host.
#[derive(Debug)]
pub(crate) struct HostLauncher<'a> {
    host: &'a mut Host,
    tracing: RunTracing,
}

impl<'a> HostLauncher<'a> {
    /// Creates a launcher; a thread forwards the messages of `host` to `sender`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn new(host: &'a mut Host, tracing: RunTracing, sender: Sender<RunMessage>) -> io::Result<Self> {
        let messages = host.take_messages();
        std::thread::Builder::new().name("host".to_owned()).spawn(move || forward_messages(messages, &sender))?;
        Ok(Self { host, tracing })
    }

    /// Returns the file and socket accesses of the traced sessions.
    pub(crate) fn into_accesses(self) -> BTreeMap<SessionId, SessionAccesses> {
        self.tracing.into_accesses()
    }
}

fn forward_messages(messages: HostMessages, sender: &Sender<RunMessage>) {
    for message in messages {
        if sender.send(RunMessage::Launch(to_launch_event(message))).is_err() {
            return;
        }
    }
    // Sending fails only after the run, when the receiver is dropped.
    let _ = sender.send(RunMessage::HostExited);
}

impl SessionLauncher for HostLauncher<'_> {
    fn launch(&mut self, request: &LaunchRequest, output: OwnedFd) -> io::Result<()> {
        let required_outcomes =
            request.required_outcomes.iter().map(|(id, outcome)| (*id, to_nox_status(*outcome))).collect();
        let traced = self.tracing.begin_session(request)?;
        let (env, trace, socket) = match traced {
            Some(traced) => (traced.env, Some(traced.setup), Some(traced.socket)),
            None => (Vec::new(), None, None),
        };
        let host_request = HostRunRequest {
            id: request.id,
            required_outcomes,
            posargs: request.posargs.clone(),
            env: request.env.iter().cloned().chain(env).collect(),
            nice: request.nice,
            tty: request.terminal,
            leak_timeout_ms: request.leak_timeout_ms,
            remaining_sessions: request.remaining_sessions,
            trace,
        };
        match socket {
            Some(socket) => self.host.run_session_traced(&host_request, output.as_fd(), output.as_fd(), socket.as_fd()),
            None => self.host.run_session(&host_request, output.as_fd(), output.as_fd()),
        }
    }

    fn on_attempt_finished(&mut self, id: SessionId, uses: &[CommandUse]) {
        self.tracing.end_session(id, uses);
    }

    fn find_race(&self, failed: SessionId, other: SessionId) -> Option<RaceConflict> {
        self.tracing.find_race(failed, other)
    }

    fn exit_description(&mut self) -> Option<String> {
        self.host.exit_description()
    }
}

fn to_launch_event(message: HostMessage) -> LaunchEvent {
    match message {
        HostMessage::Started { id, pid } => LaunchEvent::Started { id, pid },
        HostMessage::Notify { id, target, matches, posargs } => LaunchEvent::Notified { id, target, matches, posargs },
        HostMessage::Waiting { id, resource } => LaunchEvent::Waiting { id, resource },
        HostMessage::Finished(finished) => LaunchEvent::Exited(to_exit_report(finished)),
    }
}

fn to_exit_report(finished: FinishedMessage) -> ExitReport {
    let outcome = match finished.status {
        NoxStatus::Success => Outcome::Passed,
        NoxStatus::Failed => Outcome::Failed,
        NoxStatus::Skipped => Outcome::Skipped,
        NoxStatus::Aborted => Outcome::Aborted,
        NoxStatus::Interrupted => Outcome::Cancelled,
        NoxStatus::Crashed => Outcome::Crashed,
    };
    ExitReport {
        id: finished.id,
        outcome,
        reason: finished.reason,
        exit: finished.exit_code,
        signal: finished.signal,
        cpu: Some(finished.cpu_ms),
        peak_memory: Some(finished.peak_kib.saturating_mul(1024)),
        leaked: finished.leaked,
        uses: finished.uses,
        install: finished.installs.map(|totals| InstallStats {
            wall_ms: totals.duration_ms,
            commands: totals.commands,
            skipped: totals.skipped,
        }),
    }
}

/// Returns the status of a required session as nox expects it.
fn to_nox_status(outcome: Outcome) -> NoxStatus {
    match outcome {
        Outcome::Passed | Outcome::Replayed => NoxStatus::Success,
        Outcome::Skipped => NoxStatus::Skipped,
        Outcome::Aborted => NoxStatus::Aborted,
        Outcome::Failed | Outcome::TimedOut | Outcome::Crashed | Outcome::Cancelled => NoxStatus::Failed,
    }
}
