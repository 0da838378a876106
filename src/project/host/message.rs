//! What noxide and the host say to each other: JSON lines over a socket.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::error::LoadFailure;
use crate::project::{NoxfileManifest, SessionId};

/// nox's word for how a session ended, and two for how it did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum NoxStatus {
    /// It did what it should.
    Success,
    /// It did not.
    Failed,
    /// `session.skip`, or an interpreter that is not there.
    Skipped,
    /// `session.error`, or a session it requires did not succeed.
    Aborted,
    /// SIGINT ended it.
    Interrupted,
    /// Its process ended without a word.
    Crashed,
}

/// An order to run one session.
#[derive(Clone, Debug, Serialize)]
pub struct HostRunRequest {
    /// Which session.
    pub id: SessionId,
    /// How the sessions that it may require ended.
    #[serde(serialize_with = "serialize_as_map")]
    pub results: Vec<(SessionId, NoxStatus)>,
    /// Positional arguments of its own, by `session.notify`; none for those of the command line.
    pub posargs: Option<Vec<String>>,
    /// Environment variables on top of the host's.
    #[serde(serialize_with = "serialize_as_map")]
    pub env: Vec<(String, String)>,
    /// Added to its niceness.
    pub nice: i32,
    /// Its output is a terminal, to become its controlling one.
    pub tty: bool,
    /// How long what a command left running may hold output that nox reads, in milliseconds.
    pub leak_ms: u64,
    /// How many sessions are still to come: for these the host gets processes ready.
    pub more: usize,
    /// How it puts itself under a filter; a third descriptor comes with the order then. None runs it untraced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<SeccompSetup>,
}

/// What a session's process needs to have its calls told to noxide.
#[derive(Clone, Debug, Serialize)]
pub struct SeccompSetup {
    /// The filter program in hexadecimal digits.
    pub(crate) filter: String,
    /// The number of the system call `seccomp` on this machine.
    pub(crate) call: i64,
    /// Its flags; the first that the kernel knows count.
    pub(crate) flags: Vec<u64>,
}

impl HostRunRequest {
    /// An order with nothing special.
    pub fn new(id: SessionId) -> Self {
        Self {
            id,
            results: Vec::new(),
            posargs: None,
            env: Vec::new(),
            nice: 0,
            tty: false,
            leak_ms: 200,
            more: 0,
            trace: None,
        }
    }
}

fn serialize_as_map<K: Serialize, V: Serialize, S: Serializer>(
    pairs: &[(K, V)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(pairs.len()))?;
    for (key, value) in pairs {
        map.serialize_entry(key, value)?;
    }
    map.end()
}

/// What noxide tells the host.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum HostCommand<'a> {
    /// Get ready to fork: sessions will follow.
    Warm,
    /// Run a session; the descriptors of its stdout and stderr come with the message.
    Run(&'a HostRunRequest),
    /// End.
    Exit,
}

/// What the host says while it loads.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum LoadMessage {
    /// The noxfile is being loaded.
    Loading,
    /// nox makes an environment for the noxfile itself (PEP 723): that may take its time.
    Preparing,
    /// It is loaded.
    Manifest(Box<NoxfileManifest>),
    /// It is not.
    Error(Box<LoadFailure>),
}

/// What the host says of its sessions.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum HostMessage {
    /// A session's process is there, in a process group of its own whose number is `pid`.
    Started {
        /// Which session.
        id: SessionId,
        /// Its process, and its process group.
        pid: u32,
    },
    /// A session called `session.notify`.
    ///
    /// nox's rule: nothing happens if any of `matches` is queued, runs or has run; else `target` is queued last.
    Notify {
        /// Which session called.
        id: SessionId,
        /// The session to queue: the first that goes by the name it called.
        target: SessionId,
        /// Every session that goes by that name.
        matches: Vec<SessionId>,
        /// Positional arguments for the target alone, if any.
        posargs: Option<Vec<String>>,
    },
    /// A session's process is over.
    Finished(FinishedMessage),
}

/// How a session's process ended.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct FinishedMessage {
    /// Which session.
    pub id: SessionId,
    /// nox's verdict.
    pub status: NoxStatus,
    /// nox's reason, or ours; may be empty.
    pub reason: String,
    /// The exit status of its process.
    pub exit: Option<i32>,
    /// The signal that killed its process.
    pub signal: Option<i32>,
    /// CPU time of its process and all it waited for, in milliseconds.
    pub cpu_ms: u64,
    /// Largest resident set of any of them, in KiB.
    pub peak_kib: u64,
    /// From its start to the end of its process, in milliseconds.
    pub duration_ms: u64,
    /// Whether a command of which nox kept the output left something running that held it open.
    #[serde(default)]
    pub leaked: bool,
    /// Its installs; none where it made none, or nobody counted.
    #[serde(default)]
    pub install: Option<InstallTotals>,
}

/// What a session's installs came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct InstallTotals {
    /// Milliseconds spent in them.
    pub(crate) ms: u64,
    /// How many were run.
    pub(crate) commands: u32,
    /// How many were skipped, since the environment was built by them already.
    pub(crate) skipped: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_answers_have_their_shape() {
        let mut order = HostRunRequest::new(SessionId(3));
        order.results = vec![(SessionId(1), NoxStatus::Success)];
        order.env = vec![("A".to_owned(), "b".to_owned())];
        let line = serde_json::to_string(&HostCommand::Run(&order)).unwrap();
        assert_eq!(
            line,
            r#"{"type":"run","id":3,"results":{"1":"SUCCESS"},"posargs":null,"env":{"A":"b"},"nice":0,"tty":false,"leak_ms":200,"more":0}"#
        );
        assert_eq!(serde_json::to_string(&HostCommand::Exit).unwrap(), r#"{"type":"exit"}"#);
        let message: HostMessage = serde_json::from_str(r#"{"type":"started","id":3,"pid":7}"#).unwrap();
        assert_eq!(message, HostMessage::Started { id: SessionId(3), pid: 7 });
    }
}
