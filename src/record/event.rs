//! Run events in the order they happen: shown by reporters, stored by the recorder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::project::{CommandUse, SessionName};

/// One event of a run and its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEvent {
    /// Milliseconds since the run started, by a monotonic clock.
    pub at: u64,
    /// Kind of the event, with its fields.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Kinds of events. On disk: one JSON object per line, tagged by `event`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// The run starts. Always the first event.
    RunStarted(RunMetadata),
    /// A session was added during the run (nox's `session.notify`).
    SessionAdded {
        /// The new session.
        session: SessionSpec,
        /// The session that called `session.notify`.
        notified_by: SessionName,
    },
    /// Packages are being restored for a session. Coalesced: a few per second at most, none for a quick restore.
    SessionRestoring {
        /// The session.
        session: SessionName,
        /// Progress of the restore.
        progress: RestoreProgress,
    },
    /// The restore for a session is over.
    SessionRestored {
        /// The session.
        session: SessionName,
        /// Cache statistics of the session.
        cache: CacheStats,
    },
    /// A session's process started.
    SessionStarted {
        /// The session.
        session: SessionName,
        /// Number of the attempt: 1 for the first, 2 for the first retry.
        attempt: u32,
        /// Slots it holds, counted from 0.
        slots: Vec<usize>,
        /// Its log file, relative to the run directory.
        log: PathBuf,
    },
    /// The log of a session grew. Coalesced: a few per second at most; the bytes are in the log file.
    OutputGrew {
        /// The session.
        session: SessionName,
        /// Number of the attempt.
        attempt: u32,
        /// Offset of the first new byte in the log file.
        from_offset: u64,
        /// Offset after the last new byte.
        to_offset: u64,
    },
    /// An attempt failed and is retried.
    SessionRetried {
        /// The session.
        session: SessionName,
        /// Result of the failed attempt.
        attempt: AttemptResult,
        /// Milliseconds until the next attempt.
        delay_ms: u64,
    },
    /// A session failed, and its result waits for another session: it may have to run again after that one.
    SessionHeld {
        /// The session.
        session: SessionName,
        /// Result of the failed attempt.
        attempt: AttemptResult,
        /// The earlier session that has not finished or will run again.
        waits_for: SessionName,
    },
    /// A session ended, or will not start or no longer counts (`aborted`).
    SessionFinished(SessionResult),
    /// The run starts no more sessions: it was interrupted (Ctrl-C, SIGTERM, SIGHUP), a session failed (fail-fast), or
    /// the host process died.
    RunInterrupted {
        /// Signal name such as `SIGINT`, or `fail-fast`, or `host-died`.
        cause: String,
    },
    /// A notice that is not the outcome of a session (sessions load the noxfile again, the directory is
    /// read-only …).
    Notice {
        /// One sentence.
        text: String,
    },
    /// The run is over. Always the last event.
    RunFinished {
        /// Exit code of noxide.
        exit_code: u8,
    },
}

impl EventKind {
    /// Returns the paths of the logs that the event names.
    pub(super) fn log_paths(&self) -> Vec<&Path> {
        match self {
            Self::SessionStarted { log, .. } => vec![log],
            Self::SessionRetried { attempt, .. } | Self::SessionHeld { attempt, .. } => vec![&attempt.log],
            Self::SessionFinished(result) => result.attempts.iter().map(|attempt| attempt.log.as_path()).collect(),
            Self::RunStarted(_)
            | Self::SessionAdded { .. }
            | Self::SessionRestoring { .. }
            | Self::SessionRestored { .. }
            | Self::OutputGrew { .. }
            | Self::RunInterrupted { .. }
            | Self::Notice { .. }
            | Self::RunFinished { .. } => Vec::new(),
        }
    }

    /// Returns the texts that may contain something a session printed or was called with.
    pub(crate) fn session_texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::SessionRestored { cache, .. } => vec![&mut cache.miss_reason],
            Self::SessionRetried { attempt, .. } | Self::SessionHeld { attempt, .. } => vec![&mut attempt.reason],
            Self::SessionFinished(result) => {
                let cache = result.cache.iter_mut().map(|cache| &mut cache.miss_reason);
                let attempts = result.attempts.iter_mut().map(|attempt| &mut attempt.reason);
                let uses = result.resources.iter_mut().flat_map(|resources| &mut resources.uses);
                let uses = uses.flat_map(|used| [&mut used.target, &mut used.key, &mut used.command]);
                attempts.chain(cache).chain(uses).chain([&mut result.reason]).collect()
            }
            Self::Notice { text } => vec![text],
            Self::RunStarted(metadata) => {
                metadata.sessions.iter_mut().map(|session| &mut session.description).collect()
            }
            Self::SessionAdded { session, .. } => vec![&mut session.description],
            Self::SessionRestoring { .. }
            | Self::SessionStarted { .. }
            | Self::OutputGrew { .. }
            | Self::RunInterrupted { .. }
            | Self::RunFinished { .. } => Vec::new(),
        }
    }
}

/// Metadata of a run, known at its start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunMetadata {
    /// Run identifier: the name of its directory below `runs` in the run data directory.
    pub run_id: String,
    /// Wall clock at the start, RFC 3339 with offset.
    pub started_at: String,
    /// Root directory of the project; bytes that are not UTF-8 are replaced on disk.
    #[serde(serialize_with = "serialize_lossy_path")]
    pub root: PathBuf,
    /// Number of slots that sessions share.
    pub slots: usize,
    /// Sessions of the plan, in nox's order.
    pub sessions: Vec<SessionSpec>,
    /// Git commit that is checked out, if any.
    pub commit: Option<String>,
    /// Git's digest of the project's files; `None` if they differ from the commit, apart from ignored files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// Versions of noxide, nox and the Python that runs nox.
    pub versions: Vec<(String, String)>,
    /// Shard of a larger run; `None` for a complete run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardMetadata>,
}

/// A shard of a larger run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardMetadata {
    /// Index of the shard, from 1.
    pub index: usize,
    /// Number of shards.
    pub count: usize,
    /// Sessions of all shards, in nox's order.
    pub sessions: Vec<SessionName>,
}

/// Serializes a path as text, replacing bytes that are not UTF-8.
pub(super) fn serialize_lossy_path<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// A session as planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionSpec {
    /// Full name of the session.
    pub name: SessionName,
    /// First line of its docstring, or empty.
    pub description: String,
    /// Sessions it waits for.
    pub needs: Vec<SessionNeed>,
    /// Named locks that it holds alone while it runs.
    pub locks: Vec<String>,
    /// Shared and temporary locks, and the origins of all locks.
    #[serde(default, skip_serializing_if = "LockDetails::is_empty")]
    pub lock_details: LockDetails,
    /// Whether no other session runs at the same time.
    pub exclusive: bool,
    /// Slots that it takes (setting `cpus`).
    pub cpus: usize,
    /// Usual wall time from the history, in milliseconds.
    pub usual_ms: Option<u64>,
}

/// A need of a session: the session that it waits for, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionNeed {
    /// The session that it waits for.
    pub session: SessionName,
    /// Origin of the need.
    pub origin: NeedOrigin,
}

/// Origin of a need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum NeedOrigin {
    /// nox's `requires=`: it must have passed.
    Requires,
    /// nox's `session.notify`: a session that joins the run waits for all that were queued or running at that time; one
    /// that is part of the run waits for the session that notifies it.
    Notify,
    /// It writes coverage data that this session combines or reports.
    Coverage {
        /// Coverage data file.
        data_file: String,
    },
    /// It changes a variable that this session reads: under nox all sessions share one process.
    SharedVariable {
        /// The variable, such as `VERSION` or `os.environ[VERSION]`.
        name: String,
    },
    /// `after` in settings.
    Settings {
        /// File and line, such as `pyproject.toml:41`.
        location: String,
    },
    /// A trace showed that the two sessions conflict.
    Trace {
        /// Path of the conflict.
        path: String,
    },
}

/// Locks that a session holds in shared mode, or only during commands, and the origins of all its locks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockDetails {
    /// Names of locks held in shared mode: sessions that hold the same lock in shared mode may run at the same time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared: Vec<String>,
    /// Names of locks that it holds only while a command runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub during_commands: Vec<String>,
    /// Why it has each of its locks, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub origins: BTreeMap<String, LockOrigin>,
}

impl LockDetails {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Origin of a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum LockOrigin {
    /// `locks` in settings.
    Settings {
        /// File and line, such as `pyproject.toml:41`.
        location: String,
    },
    /// The noxfile gives sessions one environment.
    Noxfile,
    /// A command of the session, as it was run.
    Command {
        /// The command, shortened.
        command: String,
    },
    /// A trace showed that sessions conflict.
    Trace {
        /// Path of the conflict.
        path: String,
    },
}

impl NeedOrigin {
    /// Returns whether the needed session must have passed; otherwise it must only have ended.
    pub fn requires_success(&self) -> bool {
        matches!(self, Self::Requires)
    }
}

/// Result of one attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptResult {
    /// Number of the attempt, from 1.
    pub number: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Reason given by nox or noxide; empty if it passed.
    pub reason: String,
    /// Exit status of the session's process, if it had one.
    pub exit_status: Option<i32>,
    /// Signal that killed the process.
    pub signal: Option<i32>,
    /// Start, in milliseconds since the run started.
    pub start: u64,
    /// End, in milliseconds since the run started.
    pub end: u64,
    /// User and system CPU time of the session's processes, in milliseconds.
    pub cpu_ms: Option<u64>,
    /// Largest resident set of any of its processes, in bytes.
    pub peak_memory: Option<u64>,
    /// Slots it held, counted from 0.
    pub slots: Vec<usize>,
    /// Log file, relative to the run directory.
    pub log: PathBuf,
    /// Size of the log in bytes.
    pub log_bytes: u64,
    /// Whether it left a process running that kept its output open.
    pub leaky: bool,
}

/// Result of a session, with all attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionResult {
    /// Name of the session.
    pub session: SessionName,
    /// Outcome of the last attempt; `failed` if it passed but counts as failed because it is flaky; `aborted` if it
    /// never started, or if a session that it requires ran again and failed.
    pub outcome: Outcome,
    /// Reason for the outcome; empty if it passed, unless it ran again.
    pub reason: String,
    /// Whether it passed after a failed attempt.
    pub flaky: bool,
    /// Attempts in order; empty if it never started.
    pub attempts: Vec<AttemptResult>,
    /// Install statistics of all attempts; `None` if it installed nothing or they are unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<InstallStats>,
    /// Cache statistics; `None` if the cache was not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheStats>,
    /// Resources that its commands shared with other sessions; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<SharedResources>,
}

/// Resources that the commands of a session shared with other sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedResources {
    /// Digest of what determined the commands: the session's source, parameters and arguments.
    pub definition: String,
    /// The resources, in the order they were used.
    pub uses: Vec<CommandUse>,
}

/// Install statistics of a session: `session.install` and `session.run_install`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallStats {
    /// Time spent in installs, in milliseconds.
    pub wall_ms: u64,
    /// Install commands that were run.
    pub commands: u32,
    /// Install commands that were skipped because the environment already contains their packages.
    pub skipped: u32,
}

/// Progress of a restore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreProgress {
    /// Packages restored so far.
    pub packages: u64,
    /// Files restored so far.
    pub files: u64,
    /// Bytes restored so far.
    pub bytes: u64,
    /// Packages to restore in total.
    pub total_packages: u64,
    /// Files to restore in total; 0 if unknown.
    pub total_files: u64,
    /// Bytes to restore in total.
    pub total_bytes: u64,
    /// Milliseconds since the restore started.
    pub elapsed_ms: u64,
}

/// Cache statistics of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheStats {
    /// Required packages that were in uv's cache or restored from the store.
    pub hits: u32,
    /// Required packages that were not found.
    pub misses: u32,
    /// Bytes restored from the store for this session, without those already restored for another session of the run.
    pub restored_bytes: u64,
    /// Duration of the restore in milliseconds.
    pub restore_ms: u64,
    /// Reasons of misses: a changed key, missing packages; empty if there are none.
    pub miss_reason: String,
}

impl SessionResult {
    /// Returns the last attempt, if it started.
    pub fn last_attempt(&self) -> Option<&AttemptResult> {
        self.attempts.last()
    }

    /// Returns the wall time from the first start to the last end, in milliseconds.
    pub fn wall_time(&self) -> u64 {
        match (self.attempts.first(), self.attempts.last()) {
            (Some(first), Some(last)) => last.end.saturating_sub(first.start),
            _ => 0,
        }
    }
}

/// Subscriber to the events of a run: the reporters and the recorder.
pub trait EventSubscriber {
    /// Handles an event.
    fn on_event(&mut self, event: &RunEvent);

    /// Advances the clock; `now` is in milliseconds since the run started, without suspended time.
    fn on_tick(&mut self, now: u64);

    /// Handles a request to show the running sessions (SIGUSR1, Enter or `t`).
    fn on_status_request(&mut self);
}
