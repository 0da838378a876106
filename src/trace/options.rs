//! Trace options: when the sessions of a run are traced.

/// When sessions are traced, and whether learned conflicts apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TraceMode {
    /// Apply learned conflicts; trace the sessions that are new, have changed, or did not pass when they were traced.
    #[default]
    Auto,
    /// Apply learned conflicts and trace every session.
    Always,
    /// Trace nothing and ignore learned conflicts.
    Never,
}
