//! Events: the facts of a run in the order they happened; what reporters show and the recorder keeps.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::project::SessionName;

/// One fact of a run and when it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEvent {
    /// Milliseconds since the run started, by a monotonic clock.
    pub at: u64,
    /// What happened.
    #[serde(flatten)]
    pub fact: EventKind,
}

/// What can happen in a run. On disk: one JSON object a line, named by `event`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// The plan is made and the run begins. Always the first event.
    RunStarted(RunMetadata),
    /// A session was added while the run went on (nox's `session.notify`).
    SessionAdded {
        /// The new session.
        session: SessionSpec,
        /// Who asked for it.
        by: SessionName,
    },
    /// Packages are on their way from the store to a session. Coalesced: a few a second at most, none for what is quick.
    SessionRestoring {
        /// Which session.
        session: SessionName,
        /// How far that has come.
        done: RestoreProgress,
    },
    /// What a session installs is there, as far as can be.
    SessionRestored {
        /// Which session.
        session: SessionName,
        /// What the cache did for it.
        cache: CacheStats,
    },
    /// A session's process started.
    SessionStarted {
        /// Which session.
        session: SessionName,
        /// 1 for the first attempt, 2 for the first retry …
        attempt: u32,
        /// The slots it holds, counted from 0.
        slots: Vec<usize>,
        /// Its log file, relative to the run's folder.
        log: PathBuf,
    },
    /// A session's log grew. Coalesced: a few a second at most; the bytes are in the log file.
    OutputGrew {
        /// Which session.
        session: SessionName,
        /// Which attempt.
        attempt: u32,
        /// Offset of the first new byte in the log file.
        from: u64,
        /// Offset behind the last new byte.
        to: u64,
    },
    /// An attempt failed and another follows.
    SessionRetried {
        /// Which session.
        session: SessionName,
        /// How the attempt ended.
        attempt: AttemptResult,
        /// Milliseconds until the next attempt.
        delay: u64,
    },
    /// A session is over (also one that never started: aborted, cancelled).
    SessionFinished(SessionResult),
    /// The run was asked to end (Ctrl-C, SIGTERM, SIGHUP, fail-fast); sessions are being ended.
    RunInterrupted {
        /// Signal name such as `SIGINT`, or `fail-fast`, or `timeout`.
        cause: String,
    },
    /// Something people should know that is no session's outcome (fallback mode, read-only folder …).
    Notice {
        /// One sentence.
        text: String,
    },
    /// The run is over. Always the last event.
    RunFinished {
        /// The exit code noxide will give.
        exit: u8,
    },
}

/// What is known when a run begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunMetadata {
    /// The run's identifier: its folder's name below `.noxide/runs/`.
    pub run: String,
    /// Wall clock at the start, RFC 3339 with offset.
    pub time: String,
    /// The project's root folder; bytes that are no UTF-8 are shown, not kept.
    #[serde(serialize_with = "serialize_lossy_path")]
    pub root: PathBuf,
    /// CPUs' worth of room that sessions share.
    pub slots: usize,
    /// Sessions of the plan, in nox's order.
    pub sessions: Vec<SessionSpec>,
    /// Git commit checked out, if any.
    pub commit: Option<String>,
    /// Tool versions: noxide, nox, python, uv where known.
    pub versions: Vec<(String, String)>,
    /// Which part of a larger run this is; none where it is a whole one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardMetadata>,
}

/// Which part of a larger run a run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardMetadata {
    /// Which part, counted from 1.
    pub index: usize,
    /// Of how many.
    pub count: usize,
    /// The sessions of all parts, in nox's order.
    pub sessions: Vec<SessionName>,
}

/// A path as text: JSON has no other way to hold one.
pub(super) fn serialize_lossy_path<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// A session as planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionSpec {
    /// Its name.
    pub name: SessionName,
    /// First line of its docstring, or empty.
    pub description: String,
    /// What it waits for.
    pub needs: Vec<SessionNeed>,
    /// Named locks it holds while it runs.
    pub locks: Vec<String>,
    /// Whether nothing else runs beside it.
    pub exclusive: bool,
    /// Slots it takes.
    pub cpus: usize,
    /// Its usual wall time by history, in milliseconds.
    pub usual: Option<u64>,
}

/// One need of a session: what it waits for, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionNeed {
    /// The session waited for.
    pub on: SessionName,
    /// Where the need comes from.
    pub origin: NeedOrigin,
}

/// Where a need comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum NeedOrigin {
    /// nox's `requires=`: it must have passed.
    Requires,
    /// nox's `session.notify`: after all that was queued or running then.
    Notify,
    /// It writes coverage data that this session combines or reports.
    Coverage {
        /// The data file.
        data: String,
    },
    /// `after` in settings.
    Settings {
        /// File and line, such as `pyproject.toml:41`.
        place: String,
    },
    /// A trace taught that the two conflict.
    Trace {
        /// On what.
        path: String,
    },
}

impl NeedOrigin {
    /// Whether the session waited for must have passed; otherwise it must only be over.
    pub fn requires_success(&self) -> bool {
        matches!(self, Self::Requires)
    }
}

/// How one attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptResult {
    /// 1 for the first.
    pub number: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// nox's own reason, or ours, in words; empty when it passed.
    pub reason: String,
    /// Exit status of the session's process where it had one.
    pub exit: Option<i32>,
    /// Signal that ended the process.
    pub signal: Option<i32>,
    /// Start, in milliseconds since the run started.
    pub start: u64,
    /// End, in milliseconds since the run started.
    pub end: u64,
    /// CPU time of the session and all it waited for, user and system, in milliseconds.
    pub cpu: Option<u64>,
    /// Largest resident set of any of its processes, in bytes.
    pub peak_memory: Option<u64>,
    /// Slots it held.
    pub slots: Vec<usize>,
    /// Its log file, relative to the run's folder.
    pub log: PathBuf,
    /// Bytes in its log.
    pub log_bytes: u64,
    /// Whether it left a process behind that held its output.
    pub leaky: bool,
}

/// A session's end, with all its attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionResult {
    /// Which session.
    pub session: SessionName,
    /// The last attempt's outcome, or why it never started.
    pub outcome: Outcome,
    /// In words: why it failed, was skipped or never started; empty when it passed.
    pub reason: String,
    /// Passed after a failed attempt.
    pub flaky: bool,
    /// Attempts in order; empty when it never started.
    pub attempts: Vec<AttemptResult>,
    /// What its installs took, of all attempts; none where it installed nothing or nobody counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<InstallStats>,
    /// What the cache did for it; none where the cache was not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheStats>,
}

/// What a session's installs took: `session.install` and `session.run_install`, apart from its work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallStats {
    /// Milliseconds spent in them.
    pub ms: u64,
    /// Commands that were run.
    pub commands: u32,
    /// Commands that were skipped, because the environment was built by them already.
    pub skipped: u32,
}

/// How far a restore has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreProgress {
    /// Packages so far.
    pub packages: u64,
    /// Files so far.
    pub files: u64,
    /// Bytes so far.
    pub bytes: u64,
    /// Packages in all.
    pub all_packages: u64,
    /// Files in all; 0 where that is not known.
    pub all_files: u64,
    /// Bytes in all.
    pub all_bytes: u64,
    /// Milliseconds since it began.
    pub ms: u64,
}

/// What the cache did for a session before it began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheStats {
    /// Packages it wants that were there: in uv's cache, or restored from the store.
    pub hits: u32,
    /// Packages it wants that were nowhere.
    pub misses: u32,
    /// Bytes restored from the store for it; what another session of the run had restored before is not counted again.
    pub bytes: u64,
    /// Milliseconds that took.
    pub ms: u64,
    /// Why its key is another than before, and what was not had, in words; empty where neither.
    pub reason: String,
}

impl SessionResult {
    /// The last attempt.
    pub fn last_attempt(&self) -> Option<&AttemptResult> {
        self.attempts.last()
    }

    /// Wall time of all attempts, from the first start to the last end, in milliseconds.
    pub fn wall_time(&self) -> u64 {
        match (self.attempts.first(), self.attempts.last()) {
            (Some(first), Some(last)) => last.end.saturating_sub(first.start),
            _ => 0,
        }
    }
}

/// Who is told what happens in a run: reporters and the recorder, all equals.
pub trait EventSubscriber {
    /// Something happened.
    fn on_event(&mut self, event: &RunEvent);

    /// Time passed; `now` is in milliseconds since the run started, without the time it was stopped.
    fn on_tick(&mut self, now: u64);

    /// Somebody wants to know what runs now (SIGUSR1, a key).
    fn on_status_request(&mut self);
}
