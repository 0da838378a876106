//! Session outcomes, and their effect on dependent sessions and the exit code.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// nox reported success.
    Passed,
    /// nox reported failure, or the session raised an exception.
    Failed,
    /// Ended by `timeout` or `idle-timeout`.
    TimedOut,
    /// Its process ended without reporting a result: a signal, `os._exit`, out of memory.
    Crashed,
    /// Stopped because the run was interrupted or failed fast.
    Cancelled,
    /// Skipped by nox: no interpreter, or `session.skip`.
    Skipped,
    /// Not started, or not counted, because a session it requires did not pass or the run was interrupted first; or ended
    /// by `session.error`. nox uses the same word for both.
    Aborted,
}

impl Outcome {
    /// All outcomes.
    pub(crate) const ALL: [Self; 7] =
        [Self::Passed, Self::Failed, Self::TimedOut, Self::Crashed, Self::Cancelled, Self::Skipped, Self::Aborted];

    /// Returns whether sessions that require this one may start; as in nox, a skipped session does not prevent that.
    pub fn allows_dependents(self) -> bool {
        matches!(self, Self::Passed | Self::Skipped)
    }

    /// Returns whether this outcome makes the exit code of the run 1.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut | Self::Crashed | Self::Cancelled | Self::Aborted)
    }

    /// Returns the mark shown before the word, one column wide, and its form for terminals without Unicode.
    pub(crate) fn mark(self) -> (&'static str, &'static str) {
        match self {
            Self::Passed => ("✓", "+"),
            Self::Failed | Self::TimedOut | Self::Crashed => ("✗", "x"),
            Self::Cancelled => ("■", "!"),
            Self::Skipped => ("–", "-"),
            Self::Aborted => ("○", "o"),
        }
    }

    /// Returns the word shown to people and stored in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Crashed => "crashed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Aborted => "aborted",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
