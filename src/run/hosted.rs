//! The host as the one who starts sessions for the dispatcher.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::Sender;

use super::dispatcher::Message;
use super::launch::{Answer, Finish, Launch, Order, Race};
use super::tracing::Tracing;
use crate::project::{Finished, Host, HostEvents, HostMessage, NoxStatus, RunOrder, SessionId};
use crate::record::{InstallUse, Outcome};
use crate::trace::Accesses;

/// Starts sessions through the host.
#[derive(Debug)]
pub struct Hosted<'a> {
    host: &'a mut Host,
    tracing: Tracing,
}

impl<'a> Hosted<'a> {
    /// Starts through `host`, traced where `tracing` says so, and has what it says told to `sender` by a thread of its own.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn new(host: &'a mut Host, tracing: Tracing, sender: Sender<Message>) -> io::Result<Self> {
        let events = host.listen();
        std::thread::Builder::new().name("host".to_owned()).spawn(move || listen(events, &sender))?;
        Ok(Self { host, tracing })
    }

    /// What the traced sessions touched.
    pub fn into_accesses(self) -> BTreeMap<SessionId, Accesses> {
        self.tracing.into_accesses()
    }
}

fn listen(events: HostEvents, sender: &Sender<Message>) {
    for message in events {
        if sender.send(Message::Answer(answer(message))).is_err() {
            return;
        }
    }
    // Nobody listens any more when the run is over.
    let _ = sender.send(Message::HostGone);
}

impl Launch for Hosted<'_> {
    fn launch(&mut self, order: &Order, output: OwnedFd) -> io::Result<()> {
        let results = order.results.iter().map(|(id, outcome)| (*id, status(*outcome))).collect();
        let traced = self.tracing.begin(order)?;
        let (env, trace, socket) = match traced {
            Some(traced) => (traced.env, Some(traced.order), Some(traced.socket)),
            None => (Vec::new(), None, None),
        };
        let order = RunOrder {
            id: order.id,
            results,
            posargs: order.posargs.clone(),
            env: order.env.iter().cloned().chain(env).collect(),
            nice: order.nice,
            tty: order.terminal,
            leak_ms: order.leak,
            more: order.more,
            trace,
        };
        match socket {
            Some(socket) => self.host.run_traced(&order, output.as_fd(), output.as_fd(), socket.as_fd()),
            None => self.host.run(&order, output.as_fd(), output.as_fd()),
        }
    }

    fn over(&mut self, id: SessionId) {
        self.tracing.end(id);
    }

    fn race(&self, failed: SessionId, other: SessionId) -> Option<Race> {
        self.tracing.race(failed, other)
    }

    fn last_words(&mut self) -> Option<String> {
        self.host.last_words()
    }
}

fn answer(message: HostMessage) -> Answer {
    match message {
        HostMessage::Started { id, pid } => Answer::Started { id, pid },
        HostMessage::Notify { id, target, matches, posargs } => Answer::Notified { id, target, matches, posargs },
        HostMessage::Finished(finished) => Answer::Finished(finish(finished)),
    }
}

fn finish(finished: Finished) -> Finish {
    let outcome = match finished.status {
        NoxStatus::Success => Outcome::Passed,
        NoxStatus::Failed => Outcome::Failed,
        NoxStatus::Skipped => Outcome::Skipped,
        NoxStatus::Aborted => Outcome::Aborted,
        NoxStatus::Interrupted => Outcome::Cancelled,
        NoxStatus::Crashed => Outcome::Crashed,
    };
    Finish {
        id: finished.id,
        outcome,
        reason: finished.reason,
        exit: finished.exit,
        signal: finished.signal,
        cpu: Some(finished.cpu_ms),
        peak_memory: Some(finished.peak_kib.saturating_mul(1024)),
        leaked: finished.leaked,
        install: finished.install.map(|done| InstallUse {
            ms: done.ms,
            commands: done.commands,
            skipped: done.skipped,
        }),
    }
}

/// What nox is told of a session that another one requires.
fn status(outcome: Outcome) -> NoxStatus {
    match outcome {
        Outcome::Passed | Outcome::Replayed => NoxStatus::Success,
        Outcome::Skipped => NoxStatus::Skipped,
        Outcome::Aborted => NoxStatus::Aborted,
        Outcome::Failed | Outcome::TimedOut | Outcome::Crashed | Outcome::Cancelled => NoxStatus::Failed,
    }
}
