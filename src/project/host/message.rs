//! Messages between noxide and the host: JSON lines over a socket.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::error::LoadFailure;
use crate::project::{CommandUse, ManifestIndex, NoxfileManifest};

/// nox's status of a finished session, and two statuses for sessions without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum NoxStatus {
    /// It succeeded.
    Success,
    /// It failed.
    Failed,
    /// `session.skip`, or a missing interpreter.
    Skipped,
    /// `session.error`, or a session it requires did not succeed.
    Aborted,
    /// Interrupted by SIGINT.
    Interrupted,
    /// Its process died without reporting a status.
    Crashed,
}

/// A request to run one session.
#[derive(Clone, Debug, Serialize)]
pub struct HostRunRequest {
    /// The session.
    pub id: ManifestIndex,
    /// Statuses of the sessions that it waits for, whatever the origin of the need.
    #[serde(serialize_with = "serialize_as_map")]
    pub need_statuses: Vec<(ManifestIndex, NoxStatus)>,
    /// Positional arguments from `session.notify`; `None` for those of the command line.
    pub posargs: Option<Vec<String>>,
    /// Environment variables on top of the host's.
    #[serde(serialize_with = "serialize_as_map")]
    pub env: Vec<(String, String)>,
    /// Added to its niceness.
    pub nice: i32,
    /// How long to wait for leaked processes that still hold a captured output open (the leak timeout), in milliseconds.
    pub leak_timeout_ms: u64,
    /// How many starts are still to come: of sessions that wait, and of scheduled retries. The host prepares processes
    /// for them.
    pub remaining_starts: usize,
    /// The seccomp filter to install; a request with a filter is sent with a third descriptor, the socket for the
    /// listener. With `None` the session is not traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<SeccompSetup>,
}

/// The seccomp filter with which noxide traces the system calls of a session's process.
#[derive(Clone, Debug, Serialize)]
pub struct SeccompSetup {
    /// The filter program in hexadecimal digits.
    pub(crate) filter: String,
    /// The number of the system call `seccomp` on this machine.
    pub(crate) syscall: i64,
    /// The number of the system call `sendmsg` on this machine.
    pub(crate) send_syscall: i64,
    /// The sixth argument with which a call passes the filter.
    pub(crate) cookie: u64,
    /// Flags to try in order; the first that the kernel supports are used.
    pub(crate) flags: Vec<u64>,
}

impl HostRunRequest {
    /// Creates a request with default options.
    pub fn new(id: ManifestIndex) -> Self {
        Self {
            id,
            need_statuses: Vec::new(),
            posargs: None,
            env: Vec::new(),
            nice: 0,
            leak_timeout_ms: 200,
            remaining_starts: 0,
            seccomp: None,
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

/// A command to the host.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum HostCommand<'a> {
    /// Prepare to fork: run requests will follow.
    WarmUp,
    /// Run a session; the descriptors of its stdout and stderr are sent with the message.
    Run(&'a HostRunRequest),
    /// Tell a session that sent [`HostMessage::ExitedCleanlyOnInterrupt`] whether it goes on.
    Continue {
        /// The session.
        id: ManifestIndex,
        /// Whether it goes on; otherwise it counts as interrupted.
        allowed: bool,
    },
    /// Stop all sessions and exit.
    Exit,
}

/// A message of the host while it loads.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum LoadMessage {
    /// The noxfile is being loaded.
    Loading,
    /// nox creates an environment for the noxfile itself (PEP 723), which may take long.
    Preparing,
    /// The noxfile is loaded.
    Manifest(Box<NoxfileManifest>),
    /// Loading failed.
    Error(Box<LoadFailure>),
}

/// A message of the host about its sessions.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum HostMessage {
    /// A session's process has started, as leader of its process group.
    Started {
        /// The session.
        id: ManifestIndex,
        /// Its process and process group.
        pid: u32,
    },
    /// A session called `session.notify`.
    ///
    /// nox ignores the call if any of `matches` is queued, running or finished, and otherwise queues `target` last.
    Notify {
        /// The session that called.
        id: ManifestIndex,
        /// The session to queue: the first with the notified name.
        target: ManifestIndex,
        /// All sessions with that name.
        matches: Vec<ManifestIndex>,
        /// Positional arguments for the target, if any.
        posargs: Option<Vec<String>>,
    },
    /// An interrupted command was run with nox's `interrupt_timeout` or `terminate_timeout`: nox stops it itself when
    /// these have passed.
    Interrupted {
        /// The session.
        id: ManifestIndex,
        /// How long nox waits for the command at most, in milliseconds; `None` without a limit.
        timeout_ms: Option<u64>,
    },
    /// An interrupted command exited with 0. The session waits until it is told whether to go on.
    #[serde(rename = "exited-cleanly-on-interrupt")]
    ExitedCleanlyOnInterrupt {
        /// The session.
        id: ManifestIndex,
    },
    /// A session waits for a resource that another one uses; with `None` it continues.
    Waiting {
        /// The session.
        id: ManifestIndex,
        /// The name of the resource.
        resource: Option<String>,
    },
    /// A session's process has exited.
    Finished(FinishedMessage),
}

/// How a session's process exited.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct FinishedMessage {
    /// The session.
    pub id: ManifestIndex,
    /// nox's status.
    pub status: NoxStatus,
    /// nox's reason, or the host's; may be empty.
    pub reason: String,
    /// The exit status of its process.
    pub exit_code: Option<i32>,
    /// The signal that killed its process.
    pub signal: Option<i32>,
    /// CPU time of its process and all its reaped descendants, in milliseconds.
    pub cpu_ms: u64,
    /// Largest resident set of any of them, in KiB.
    pub peak_kib: u64,
    /// From start to exit, in milliseconds.
    pub duration_ms: u64,
    /// Whether a command whose output nox captured left a process running that had the output open.
    #[serde(default)]
    pub leaked: bool,
    /// Its entry in nox's report as nox writes it: a JSON object; `None` if nox has no result.
    #[serde(default)]
    pub entry: Option<String>,
    /// Notices about its process, a sentence each: about changes of shared memory that other sessions do not see.
    #[serde(default)]
    pub notices: Vec<String>,
    /// Totals of its installs; `None` if it made none or they were not counted.
    #[serde(default)]
    pub installs: Option<InstallTotals>,
    /// Resources that its commands shared with other sessions; `None` if its commands were not seen.
    #[serde(default)]
    pub uses: Option<Vec<CommandUse>>,
}

/// Totals of a session's installs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct InstallTotals {
    /// Milliseconds spent in them.
    pub(crate) duration_ms: u64,
    /// How many were run.
    pub(crate) commands: u32,
    /// How many were skipped, because the environment already had their result.
    pub(crate) skipped: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_messages_are_json_lines() {
        let mut request = HostRunRequest::new(ManifestIndex(3));
        request.need_statuses = vec![(ManifestIndex(1), NoxStatus::Success)];
        request.env = vec![("A".to_owned(), "b".to_owned())];
        let line = serde_json::to_string(&HostCommand::Run(&request)).unwrap();
        assert_eq!(
            line,
            r#"{"type":"run","id":3,"need_statuses":{"1":"SUCCESS"},"posargs":null,"env":{"A":"b"},"nice":0,"leak_timeout_ms":200,"remaining_starts":0}"#
        );
        assert_eq!(serde_json::to_string(&HostCommand::Exit).unwrap(), r#"{"type":"exit"}"#);
        let message: HostMessage = serde_json::from_str(r#"{"type":"started","id":3,"pid":7}"#).unwrap();
        assert_eq!(message, HostMessage::Started { id: ManifestIndex(3), pid: 7 });
    }
}
