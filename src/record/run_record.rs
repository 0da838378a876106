//! One run as kept: the events folded into a document, version 1.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{EventKind, Outcome, RunEvent, SessionResult, SessionSpec, ShardMetadata};

/// The version of the document this program writes.
pub(crate) const RECORD_VERSION: u32 = 1;

/// One run as kept in `record.json`. Times are milliseconds since the run's start unless said otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Always [`RECORD_VERSION`] in what this program writes.
    pub version: u32,
    /// The run's identifier.
    pub run: String,
    /// Wall clock at the start, RFC 3339.
    pub time: String,
    /// How long the run took.
    pub wall: u64,
    /// The exit code noxide gave; none where noxide itself was killed.
    pub exit: Option<u8>,
    /// What ended the run early: a signal's name, `fail-fast`, `timeout`, or `killed`.
    pub interrupted: Option<String>,
    /// The project's root folder.
    #[serde(serialize_with = "super::event::serialize_lossy_path")]
    pub root: PathBuf,
    /// Git commit checked out.
    pub commit: Option<String>,
    /// CPUs' worth of room that sessions shared.
    pub slots: usize,
    /// Tool versions: noxide, nox, python, uv.
    pub versions: Vec<(String, String)>,
    /// Which part of a larger run this is; none where it is a whole one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardMetadata>,
    /// Facts of the machine.
    pub machine: Machine,
    /// Sentences shown during the run.
    pub notices: Vec<String>,
    /// Sessions in the order of the plan, then those added.
    pub sessions: Vec<RecordedSession>,
}

/// A session as planned and as it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedSession {
    /// As planned.
    #[serde(flatten)]
    pub facts: SessionSpec,
    /// As it went; none where the run was killed before its end.
    pub result: Option<SessionResult>,
}

/// Facts of the machine a run was made on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system, such as `linux`.
    pub os: String,
    /// Processor architecture, such as `x86_64`.
    pub arch: String,
    /// CPUs this process may use.
    pub cpus: usize,
    /// The CI system by its environment variable, such as `forgejo`; none on a desk.
    pub ci: Option<String>,
}

impl Machine {
    /// This machine.
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

/// What every version of the document says.
#[derive(Deserialize)]
struct RecordHeader {
    version: u32,
}

impl RunRecord {
    /// Reads a record.
    ///
    /// # Errors
    /// When there is none, it is damaged, or of a version this program does not know; the message names the file.
    pub fn read(path: &Path) -> io::Result<Self> {
        let bytes = fs_err::read(path)?;
        let refuse = |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()));
        let damaged = |error: serde_json::Error| refuse(format!("this is no record: {error}"));
        // The version comes first: what a later one looks like is not known here.
        match serde_json::from_slice::<RecordHeader>(&bytes).map_err(damaged)?.version {
            RECORD_VERSION => serde_json::from_slice(&bytes).map_err(damaged),
            later if later > RECORD_VERSION => Err(refuse(format!(
                "version {later} is not known to this noxide, which reads version {RECORD_VERSION}: \
                 read it with the noxide that wrote it or a later one"
            ))),
            other => Err(refuse(format!("version {other} is not known to this noxide: there never was one"))),
        }
    }

    /// Folds the events of one run; none where the first event is missing.
    ///
    /// A stream cut short (noxide was killed) gives a record with `interrupted: killed`, the sessions that were
    /// running without a result.
    pub fn from_events<'a>(events: impl IntoIterator<Item = &'a RunEvent>, machine: Machine) -> Option<Self> {
        let mut events = events.into_iter();
        let first = events.next()?;
        let EventKind::RunStarted(start) = &first.fact else { return None };
        let plain = |facts: &SessionSpec| RecordedSession { facts: facts.clone(), result: None };
        let mut record = Self {
            version: RECORD_VERSION,
            run: start.run.clone(),
            time: start.time.clone(),
            wall: first.at,
            exit: None,
            interrupted: None,
            root: start.root.clone(),
            commit: start.commit.clone(),
            slots: start.slots,
            versions: start.versions.clone(),
            shard: start.shard.clone(),
            machine,
            notices: Vec::new(),
            sessions: start.sessions.iter().map(plain).collect(),
        };
        for event in events {
            record.wall = event.at;
            match &event.fact {
                EventKind::SessionAdded { session, .. } => record.sessions.push(plain(session)),
                EventKind::SessionFinished(result) => {
                    if let Some(session) = record.sessions.iter_mut().find(|s| s.facts.name == result.session) {
                        session.result = Some(result.clone());
                    }
                }
                EventKind::RunInterrupted { cause } if record.interrupted.is_none() => {
                    record.interrupted = Some(cause.clone());
                }
                EventKind::Notice { text } => record.notices.push(text.clone()),
                EventKind::RunFinished { exit } => record.exit = Some(*exit),
                _ => {}
            }
        }
        if record.exit.is_none() {
            record.interrupted = Some("killed".to_owned());
        }
        Some(record)
    }

    /// Sessions whose result is `outcome`.
    pub fn count_outcome(&self, outcome: Outcome) -> usize {
        self.sessions.iter().filter(|s| s.result.as_ref().is_some_and(|r| r.outcome == outcome)).count()
    }
}
