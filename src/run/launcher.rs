//! Interface through which the dispatcher starts sessions: implemented by the host launcher, and by a fake in tests.

use std::io;
use std::os::fd::OwnedFd;

use crate::project::{CommandUse, ManifestIndex};
use crate::record::{InstallStats, Outcome};

/// Request to start one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchRequest {
    /// The session.
    pub id: ManifestIndex,
    /// Outcomes of the sessions that it waits for, whatever the origin of the need.
    pub need_outcomes: Vec<(ManifestIndex, Outcome)>,
    /// Arguments passed by `session.notify`; `None` for those of the command line.
    pub posargs: Option<Vec<String>>,
    /// Environment variables on top of noxide's own.
    pub env: Vec<(String, String)>,
    /// Niceness to add, as in `nice`.
    pub nice: i32,
    /// How long to wait for processes that a command left running with its output open, in milliseconds.
    pub leak_timeout_ms: u64,
    /// How many starts are still to come: of sessions that wait, and of scheduled retries.
    pub remaining_starts: usize,
}

/// Starts sessions; a fake implementation lets tests control time and failures.
pub trait SessionLauncher {
    /// Starts a session whose stdout and stderr are `output`. Its [`SessionEvent`]s arrive as messages.
    ///
    /// # Errors
    /// When the host has exited.
    fn launch(&mut self, request: &LaunchRequest, output: OwnedFd) -> io::Result<()>;

    /// Tells a session whose interrupted command exited with 0 whether it goes on.
    fn allow_continue(&mut self, _: ManifestIndex, _allowed: bool) {}

    /// Called when a session's attempt has ended, with the resources that its commands shared; processes of an attempt
    /// that passed may still run.
    fn on_attempt_finished(&mut self, _: ManifestIndex, _: Outcome, _: &[CommandUse]) {}

    /// Returns a conflict of a failed session with one that ran at the same time, if both are traced.
    fn find_overlap_conflict(&self, _failed: ManifestIndex, _other: ManifestIndex) -> Option<PathConflict> {
        None
    }

    /// Returns the program, such as `sudo`, whose setuid bit or capabilities had no effect in a session's last attempt because it was traced; later
    /// attempts of the session are not traced.
    fn stop_tracing_unprivileged(&mut self, _: ManifestIndex) -> Option<String> {
        None
    }

    /// Whether [`SessionLauncher::find_order_conflict`] may find any.
    fn can_find_order_conflicts(&self) -> bool {
        false
    }

    /// Returns how two finished sessions conflict that overlapped, or ran in another order than nox's.
    fn find_order_conflict(&mut self, _earlier: ManifestIndex, _later: ManifestIndex) -> Option<OrderConflict> {
        None
    }

    /// Returns the files that a session's last attempt did not write anew: another attempt starts from what it left there.
    fn kept_files(&self, _: ManifestIndex) -> Vec<String> {
        Vec::new()
    }

    /// Describes how the host exited, once it has.
    fn exit_description(&mut self) -> Option<String> {
        None
    }
}

/// What two sessions did with one path, port or socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathConflict {
    /// The path, port or socket.
    pub(crate) path: String,
    /// What the affected session did, such as `writes (sqlite3)` or `reads`.
    pub(crate) action: String,
    /// What the other session did.
    pub(crate) other_action: String,
}

/// How two sessions conflict, of which one is earlier in nox's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderConflict {
    /// Set if the later session may have read or overwritten what the earlier one wrote.
    pub(crate) affecting_later: Option<PathConflict>,
    /// Set if the earlier session may have read or overwritten what the later one wrote.
    pub(crate) affecting_earlier: Option<PathConflict>,
    /// Whether the later session reads what the earlier one creates, so that their order matters even if they did not
    /// overlap.
    pub(crate) reads_output: bool,
}

/// What happened to a session that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// Its process has started, as leader of a process group.
    Started {
        /// The session.
        id: ManifestIndex,
        /// Its process and process group.
        pid: u32,
    },
    /// It called `session.notify`.
    Notified {
        /// The session that called.
        id: ManifestIndex,
        /// The first session with the notified name.
        target: ManifestIndex,
        /// All sessions with that name.
        matches: Vec<ManifestIndex>,
        /// Arguments for the notified session.
        posargs: Option<Vec<String>>,
    },
    /// A command was interrupted to which the noxfile gave an `interrupt_timeout` or `terminate_timeout`: nox itself stops it
    /// when these have passed.
    InterruptedWithTimeout {
        /// The session.
        id: ManifestIndex,
        /// How long nox waits for the command at most, in milliseconds; `None` without a limit.
        timeout_ms: Option<u64>,
    },
    /// An interrupted command exited with 0; the session waits for [`SessionLauncher::allow_continue`].
    ExitedCleanlyOnInterrupt {
        /// The session.
        id: ManifestIndex,
    },
    /// It waits for a resource that another session uses; with `None` it continues.
    Waiting {
        /// The session.
        id: ManifestIndex,
        /// The name of the resource.
        resource: Option<String>,
    },
    /// Its process has exited.
    Exited(ExitReport),
}

/// How a session's process exited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitReport {
    /// The session.
    pub id: ManifestIndex,
    /// The outcome by nox's status.
    pub outcome: Outcome,
    /// nox's reason, or empty.
    pub reason: String,
    /// Exit status, if it exited.
    pub exit: Option<i32>,
    /// Signal that killed it, if any.
    pub signal: Option<i32>,
    /// CPU time in milliseconds.
    pub cpu: Option<u64>,
    /// Largest resident set of any of its processes in bytes.
    pub peak_memory: Option<u64>,
    /// Totals of its installs, if it made any.
    pub install: Option<InstallStats>,
    /// Whether a command left a process running that still holds open a pipe from which nox reads its output.
    pub leaked: bool,
    /// Notices about its process, a sentence each.
    pub notices: Vec<String>,
    /// Resources that its commands shared with other sessions; `None` if its commands were not seen.
    pub uses: Option<Vec<CommandUse>>,
}

impl ExitReport {
    /// Returns the report of a session whose process exited without a status or could not be started.
    pub fn crashed(id: ManifestIndex, reason: String) -> Self {
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
            notices: Vec::new(),
            uses: None,
        }
    }
}
