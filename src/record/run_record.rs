//! Run record: one document with the results of a run, computed from its events.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fs::{MAX_DOCUMENT_BYTES, is_contained_path, read_regular_file};
use crate::project::SessionName;

use super::number_limits::find_invalid_number;
use super::{EventKind, Outcome, RunEvent, RunMetadata, SessionResult, SessionSpec, ShardMetadata};

/// Version of the record that is written and read.
pub(crate) const RECORD_VERSION: u32 = 3;

/// Maximum number of sessions, attempts and notices of a run.
pub(super) const MAX_ITEMS: usize = 50_000;
/// Maximum number of slots that all attempts together held.
const MAX_HELD_SLOTS: usize = 1_000_000;
/// Largest number of programs whose versions a record contains.
const MAX_VERSIONS: usize = 100;
/// Maximum number of resources that the commands of all sessions together shared.
const MAX_SHARED_USES: usize = 100_000;
/// Maximum length of names and paths, in bytes.
const MAX_NAME_BYTES: usize = 65_536;

/// A run as stored in `record.json`. Times are milliseconds since the start of the run unless noted otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Always `RECORD_VERSION`.
    pub version: u32,
    /// Run identifier: the name of its directory below `runs` in the run data directory.
    pub run_id: String,
    /// Wall clock at the start, RFC 3339.
    pub started_at: String,
    /// Wall time of the run.
    pub wall_ms: u64,
    /// Exit code of noxide; `None` if noxide itself was killed.
    pub exit_code: Option<u8>,
    /// Cause of an early end: a signal name, `fail-fast`, `host-died`, or `killed`.
    pub interrupt_cause: Option<String>,
    /// Root directory of the project.
    #[serde(serialize_with = "super::event::serialize_lossy_path")]
    pub root: PathBuf,
    /// Git commit that was checked out.
    pub commit: Option<String>,
    /// Git's digest of the project's files; `None` if they differed from the commit, apart from ignored files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// Number of slots that sessions shared.
    pub slots: usize,
    /// Versions of noxide, nox and the Python that runs nox.
    pub versions: Vec<(String, String)>,
    /// Shard of a larger run; `None` if this is a complete run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardMetadata>,
    /// Machine of the run.
    pub machine: Machine,
    /// Notices shown during the run.
    pub notices: Vec<String>,
    /// Sessions in the order of the plan, then those added during the run.
    pub sessions: Vec<RecordedSession>,
}

/// A session with its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedSession {
    /// The session as planned.
    #[serde(flatten)]
    pub spec: SessionSpec,
    /// Its result; `None` if noxide was killed before the session ended.
    pub result: Option<SessionResult>,
}

/// The machine of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system, such as `linux`.
    pub os: String,
    /// Processor architecture, such as `x86_64`.
    pub arch: String,
    /// CPUs this process may use.
    pub cpus: usize,
    /// The CI system by its environment variable, such as `forgejo`; `None` outside CI.
    pub ci: Option<String>,
}

impl Machine {
    /// Describes the current machine.
    pub fn detect() -> Self {
        let ci =
            [("FORGEJO_ACTIONS", "forgejo"), ("GITEA_ACTIONS", "gitea"), ("GITHUB_ACTIONS", "github"), ("CI", "ci")];
        Self {
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            ci: ci.iter().find(|(name, _)| std::env::var_os(name).is_some()).map(|(_, word)| (*word).to_owned()),
        }
    }
}

/// The fields common to all versions of the record.
#[derive(Deserialize)]
struct RecordHeader {
    version: u32,
}

impl RunRecord {
    /// Returns the sessions that failed, were aborted or cancelled, or did not finish.
    pub(crate) fn unsuccessful_sessions(&self) -> impl Iterator<Item = &SessionName> {
        let is_unsuccessful =
            |session: &&RecordedSession| session.result.as_ref().is_none_or(|result| result.outcome.is_failure());
        self.sessions.iter().filter(is_unsuccessful).map(|session| &session.spec.name)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When it does not exist, is damaged, or has another version; the message names the file.
    pub fn read(path: &Path) -> io::Result<Self> {
        let bytes = read_regular_file(path, MAX_DOCUMENT_BYTES)?;
        let reject =
            |reason: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {reason}", path.display()));
        let damaged = |error: serde_json::Error| reject(format!("not a run record: {error}"));
        // The version is checked first: other versions may look different.
        match serde_json::from_slice::<RecordHeader>(&bytes).map_err(damaged)?.version {
            RECORD_VERSION => {
                let document: serde_json::Value = serde_json::from_slice(&bytes).map_err(damaged)?;
                if let Some(problem) = find_invalid_number(&document) {
                    return Err(reject(format!("not a run record: {problem}")));
                }
                drop(document);
                let record: Self = serde_json::from_slice(&bytes).map_err(damaged)?;
                if let Some(problem) = record.find_excess() {
                    return Err(reject(format!("not a run record: {problem}")));
                }
                let outside = record.log_paths().find(|log| !is_contained_path(log)).map(Path::to_path_buf);
                let error = |log: PathBuf| reject(format!("{} is not in the directory of the run", log.display()));
                outside.map_or(Ok(record), |log| Err(error(log)))
            }
            other => Err(reject(format!(
                "this noxide reads records of version {RECORD_VERSION}, not version {other}; use the version of noxide that wrote it"
            ))),
        }
    }

    /// Finds a list with more items than a run can have, or an impossible attempt.
    pub(super) fn find_excess(&self) -> Option<String> {
        let results = self.sessions.iter().filter_map(|session| session.result.as_ref());
        let counts = [
            ("sessions", self.sessions.len()),
            ("attempts", results.map(|result| result.attempts.len()).sum()),
            ("shard.sessions", self.shard.as_ref().map_or(0, |shard| shard.sessions.len())),
            ("notices", self.notices.len()),
            ("needs", self.sessions.iter().map(|session| session.spec.needs.len()).sum()),
            ("locks", self.sessions.iter().map(|session| session.spec.locks.len()).sum()),
        ];
        if let Some((field, count)) = counts.into_iter().find(|(_, count)| *count > MAX_ITEMS) {
            return Some(format!("{field} has {count} items, more than {MAX_ITEMS}"));
        }
        if self.versions.len() > MAX_VERSIONS {
            return Some(format!("versions has {} items, more than {MAX_VERSIONS}", self.versions.len()));
        }
        let results = self.sessions.iter().filter_map(|session| session.result.as_ref());
        let uses: usize =
            results.filter_map(|result| result.resources.as_ref()).map(|resources| resources.uses.len()).sum();
        if uses > MAX_SHARED_USES {
            return Some(format!("resources.uses have {uses} items, more than {MAX_SHARED_USES}"));
        }
        let results = self.sessions.iter().filter_map(|session| session.result.as_ref());
        let slots: usize = results.flat_map(|result| &result.attempts).map(|attempt| attempt.slots.len()).sum();
        if slots > MAX_HELD_SLOTS {
            return Some(format!("slots have {slots} items, more than {MAX_HELD_SLOTS}"));
        }
        let names = self.sessions.iter().map(|session| session.spec.name.as_str().len());
        let texts = names.chain([self.root.as_os_str().len(), self.run_id.len()]);
        if let Some(length) = texts.max().filter(|length| *length > MAX_NAME_BYTES) {
            return Some(format!("a name has {length} bytes, more than {MAX_NAME_BYTES}"));
        }
        if let Some(shard) = self.shard.as_ref().filter(|shard| !(1..=shard.count).contains(&shard.index)) {
            return Some(format!("shard.index is {}, but shard.count is {}", shard.index, shard.count));
        }
        let results = self.sessions.iter().filter_map(|session| session.result.as_ref());
        let attempts = results.flat_map(|result| result.attempts.iter().map(|attempt| (&result.session, attempt)));
        for (session, attempt) in attempts {
            let problem = match attempt {
                _ if attempt.end < attempt.start => "ends before it starts",
                _ if attempt.slots.len() > MAX_ITEMS => "holds too many slots",
                _ => continue,
            };
            return Some(format!("attempt {} of {session} {problem}", attempt.number));
        }
        None
    }

    /// Returns the paths of all logs, relative to the run directory.
    pub(super) fn log_paths(&self) -> impl Iterator<Item = &Path> {
        let results = self.sessions.iter().filter_map(|session| session.result.as_ref());
        let logs = results.flat_map(|result| &result.attempts).map(|attempt| attempt.log.as_path());
        logs.filter(|log| !log.as_os_str().is_empty())
    }

    /// Computes the record from the events of one run; `None` if the first event is not `run-started`.
    ///
    /// A truncated stream (noxide was killed) gives a record with the interrupt cause `killed`, in which unfinished
    /// sessions have no result.
    pub fn from_events<'a>(events: impl IntoIterator<Item = &'a RunEvent>, machine: Machine) -> Option<Self> {
        let mut events = events.into_iter();
        let first = events.next()?;
        let EventKind::RunStarted(start) = &first.kind else { return None };
        let without_result = |spec: &SessionSpec| RecordedSession { spec: spec.clone(), result: None };
        let mut record = Self {
            version: RECORD_VERSION,
            run_id: start.run_id.clone(),
            started_at: start.started_at.clone(),
            wall_ms: first.at,
            exit_code: None,
            interrupt_cause: None,
            root: start.root.clone(),
            commit: start.commit.clone(),
            tree: start.tree.clone(),
            slots: start.slots,
            versions: start.versions.clone(),
            shard: start.shard.clone(),
            machine,
            notices: Vec::new(),
            sessions: start.sessions.iter().map(without_result).collect(),
        };
        let mut positions: HashMap<SessionName, usize> = HashMap::new();
        for (position, session) in record.sessions.iter().enumerate() {
            positions.entry(session.spec.name.clone()).or_insert(position);
        }
        for event in events {
            record.wall_ms = event.at;
            match &event.kind {
                EventKind::SessionAdded { session, .. } => {
                    positions.entry(session.name.clone()).or_insert(record.sessions.len());
                    record.sessions.push(without_result(session));
                }
                EventKind::SessionFinished(result) => {
                    if let Some(session) = positions.get(&result.session).and_then(|at| record.sessions.get_mut(*at)) {
                        session.result = Some(result.clone());
                    }
                }
                EventKind::RunInterrupted { cause } if record.interrupt_cause.is_none() => {
                    record.interrupt_cause = Some(cause.clone());
                }
                EventKind::Notice { text } => record.notices.push(text.clone()),
                EventKind::RunFinished { exit_code: exit } => record.exit_code = Some(*exit),
                _ => {}
            }
        }
        if record.exit_code.is_none() {
            record.interrupt_cause = Some("killed".to_owned());
        }
        Some(record)
    }

    /// Counts the sessions with an outcome.
    pub fn count_outcome(&self, outcome: Outcome) -> usize {
        self.sessions.iter().filter(|s| s.result.as_ref().is_some_and(|r| r.outcome == outcome)).count()
    }
}

/// Reconstructs events from which the same record would be computed, ordered by time, with one log-growth event per attempt.
pub(crate) fn reconstruct_events(record: &RunRecord) -> Vec<RunEvent> {
    let start = RunMetadata {
        run_id: record.run_id.clone(),
        started_at: record.started_at.clone(),
        root: record.root.clone(),
        slots: record.slots,
        sessions: record.sessions.iter().map(|session| session.spec.clone()).collect(),
        commit: record.commit.clone(),
        tree: record.tree.clone(),
        versions: record.versions.clone(),
        shard: record.shard.clone(),
    };
    let mut events = Vec::new();
    let notices = record.notices.iter().map(|text| RunEvent { at: 0, kind: EventKind::Notice { text: text.clone() } });
    events.extend(notices);
    for result in record.sessions.iter().filter_map(|session| session.result.as_ref()) {
        push_session_events(result, record.wall_ms, &mut events);
    }
    if let Some(cause) = &record.interrupt_cause {
        events.push(RunEvent { at: record.wall_ms, kind: EventKind::RunInterrupted { cause: cause.clone() } });
    }
    // A stable sort: events of the same time stay in the order above.
    events.sort_by_key(|event| event.at);
    events.insert(0, RunEvent { at: 0, kind: EventKind::RunStarted(start) });
    events.extend(
        record.exit_code.map(|exit| RunEvent { at: record.wall_ms, kind: EventKind::RunFinished { exit_code: exit } }),
    );
    events
}

fn push_session_events(result: &SessionResult, wall: u64, events: &mut Vec<RunEvent>) {
    for (index, attempt) in result.attempts.iter().enumerate() {
        let session = result.session.clone();
        let started = EventKind::SessionStarted {
            session: session.clone(),
            attempt: attempt.number,
            slots: attempt.slots.clone(),
            log: attempt.log.clone(),
        };
        events.push(RunEvent { at: attempt.start, kind: started });
        if attempt.log_bytes > 0 {
            let number = attempt.number;
            let grew = EventKind::OutputGrew {
                session: session.clone(),
                attempt: number,
                from_offset: 0,
                to_offset: attempt.log_bytes,
            };
            events.push(RunEvent { at: attempt.end, kind: grew });
        }
        if let Some(next) = result.attempts.get(index + 1) {
            let delay = next.start.saturating_sub(attempt.end);
            let retried = EventKind::SessionRetried { session, attempt: attempt.clone(), delay_ms: delay };
            events.push(RunEvent { at: attempt.end, kind: retried });
        }
    }
    let end = result.attempts.last().map_or(wall, |attempt| attempt.end);
    events.push(RunEvent { at: end, kind: EventKind::SessionFinished(result.clone()) });
}

/// Describes the cause of an interruption: `interrupted (Ctrl-C)` for `SIGINT`.
pub(crate) fn describe_interrupt(cause: &str) -> String {
    match cause {
        "SIGINT" => "interrupted (Ctrl-C)".to_owned(),
        "SIGTERM" => "terminated (SIGTERM)".to_owned(),
        "SIGHUP" => "terminal closed (SIGHUP)".to_owned(),
        "fail-fast" => "stopped at the first failure (fail-fast)".to_owned(),
        "host-died" => "stopped because the process that loaded the noxfile ended".to_owned(),
        "killed" => "noxide was killed".to_owned(),
        other => format!("interrupted ({other})"),
    }
}
