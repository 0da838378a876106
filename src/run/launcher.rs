//! What the dispatcher asks of whoever starts sessions, and what it hears back.

use std::io;
use std::os::fd::OwnedFd;

use crate::project::SessionId;
use crate::record::{InstallStats, Outcome};

/// One session to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchRequest {
    /// Which session.
    pub id: SessionId,
    /// How the sessions it requires ended.
    pub required_outcomes: Vec<(SessionId, Outcome)>,
    /// Arguments given by `session.notify`; none leaves those of the command line.
    pub posargs: Option<Vec<String>>,
    /// Environment variables it gets on top of noxide's own environment.
    pub env: Vec<(String, String)>,
    /// How far its priority is lowered, as in `nice`.
    pub nice: i32,
    /// Whether its output is a terminal.
    pub terminal: bool,
    /// How long what a command left running may hold its output, in milliseconds.
    pub leak_timeout_ms: u64,
    /// How many sessions are still to come.
    pub remaining_sessions: usize,
}

/// Starts sessions: the host, or a double in tests that steer time and failure.
pub trait SessionLauncher {
    /// Starts a session whose stdout and stderr are `output`. What becomes of it arrives as [`Answer`]s.
    ///
    /// # Errors
    /// When whoever starts sessions is gone.
    fn launch(&mut self, order: &LaunchRequest, output: OwnedFd) -> io::Result<()>;

    /// A session's attempt is over, with all its processes that were waited for.
    fn attempt_over(&mut self, _: SessionId) {}

    /// On what a session that failed conflicts with one that ran beside it, where both are traced.
    fn find_race(&self, _failed: SessionId, _other: SessionId) -> Option<RaceConflict> {
        None
    }

    /// How whoever starts sessions came to its end, in words, once it is gone.
    fn exit_description(&mut self) -> Option<String> {
        None
    }
}

/// What two sessions did to one path at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaceConflict {
    /// The path, port or socket.
    pub(crate) path: String,
    /// What the one that failed does.
    pub(crate) failed_action: String,
    /// What the other does.
    pub(crate) other_action: String,
}

/// What is heard of a session that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaunchEvent {
    /// Its process, leader of a group of its own.
    Started {
        /// Which session.
        id: SessionId,
        /// Process and group.
        pid: u32,
    },
    /// It called `session.notify`.
    Notified {
        /// Which session called.
        id: SessionId,
        /// The first session that goes by the name it called.
        target: SessionId,
        /// All sessions that go by that name.
        matches: Vec<SessionId>,
        /// Arguments for that session.
        posargs: Option<Vec<String>>,
    },
    /// Its process is over.
    Finished(ExitReport),
}

/// How a session's process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitReport {
    /// Which session.
    pub id: SessionId,
    /// What nox says.
    pub outcome: Outcome,
    /// nox's reason in words, or empty.
    pub reason: String,
    /// Exit status where it had one.
    pub exit: Option<i32>,
    /// Signal that ended it.
    pub signal: Option<i32>,
    /// CPU time in milliseconds.
    pub cpu: Option<u64>,
    /// Largest resident set of any of its processes in bytes.
    pub peak_memory: Option<u64>,
    /// What its installs took, where it made any.
    pub install: Option<InstallStats>,
    /// Whether a command left something running that held output which nox reads.
    pub leaked: bool,
}

impl ExitReport {
    /// A session whose process died without an answer, or never came to be.
    pub fn crashed(id: SessionId, reason: String) -> Self {
        let outcome = Outcome::Crashed;
        Self {
            id,
            outcome,
            reason,
            exit: None,
            signal: None,
            cpu: None,
            peak_memory: None,
            install: None,
            leaked: false,
        }
    }
}
