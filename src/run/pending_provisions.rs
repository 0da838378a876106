//! Sessions that wait for their dependencies.

use std::collections::BTreeMap;

/// Sessions that wait for their dependencies, and the variables of those that have them.
#[derive(Debug, Default)]
pub(super) struct PendingProvisions {
    /// Slots reserved by sessions that would start.
    pub(super) waiting_slots: BTreeMap<usize, Vec<usize>>,
    /// Environment variables of provisioned sessions.
    pub(super) provisioned_env: BTreeMap<usize, Vec<(String, String)>>,
    /// Whether the worker has ended: nothing is provisioned any more.
    pub(super) worker_exited: bool,
}

impl PendingProvisions {
    /// Returns the environment variables of a session.
    pub(super) fn session_env(&self, session: usize) -> Vec<(String, String)> {
        self.provisioned_env.get(&session).cloned().unwrap_or_default()
    }
}
