//! How a session ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a session ended; the words of records, boards and exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// nox says success.
    Passed,
    /// nox says failure, or the session raised.
    Failed,
    /// Ended by `timeout` or `idle-timeout`.
    TimedOut,
    /// Its process died without an answer: a signal, `os._exit`, out of memory.
    Crashed,
    /// Ended because the run was interrupted or failed fast.
    Cancelled,
    /// Not run: a kept result was shown instead.
    Replayed,
    /// nox skipped it: no interpreter, or `session.skip`.
    Skipped,
    /// Never started, because a session it requires did not pass or the run ended before its turn; or gave up by
    /// `session.error`. nox calls both so.
    Aborted,
}

impl Outcome {
    /// All of them.
    pub(crate) const ALL: [Self; 8] = [
        Self::Passed,
        Self::Failed,
        Self::TimedOut,
        Self::Crashed,
        Self::Cancelled,
        Self::Replayed,
        Self::Skipped,
        Self::Aborted,
    ];

    /// Whether sessions that require this one may start, as nox counts it: skipped is fine.
    pub fn allows_dependents(self) -> bool {
        matches!(self, Self::Passed | Self::Replayed | Self::Skipped)
    }

    /// Whether this outcome makes the run's exit code 1.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut | Self::Crashed | Self::Cancelled | Self::Aborted)
    }

    /// The word shown to people and kept in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Crashed => "crashed",
            Self::Cancelled => "cancelled",
            Self::Replayed => "replayed",
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
