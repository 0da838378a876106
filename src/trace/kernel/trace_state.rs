//! State of one trace, shared between the session's thread and the supervisor.

use super::inspector::SyscallInspector;

/// State of one trace.
#[derive(Debug)]
pub(super) enum TraceState {
    /// The session has not sent its listener yet.
    AwaitingSession,
    /// The session could not be traced.
    Failed(String),
    /// The session is being traced.
    Tracing(Box<SyscallInspector>),
}
