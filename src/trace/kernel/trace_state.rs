//! What is known of a trace while it lasts.

use super::inspector::SyscallInspector;

/// What is known of a trace.
#[derive(Debug)]
pub(super) enum TraceState {
    /// The session has not said anything yet.
    AwaitingSession,
    /// It could not be traced.
    Failed(String),
    /// It is being looked at.
    Tracing(Box<SyscallInspector>),
}
