//! What is known of a trace while it lasts.

use super::look::Look;

/// What is known of a trace.
#[derive(Debug)]
pub(super) enum State {
    /// The session has not said anything yet.
    Awaited,
    /// It could not be traced.
    Failed(String),
    /// It is being looked at.
    Looking(Box<Look>),
}
