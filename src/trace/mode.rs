//! Trace mode: when sessions are traced.

/// When sessions are traced, and whether learned conflicts apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TraceMode {
    /// Apply learned conflicts; trace only sessions whose recorded accesses are stale.
    #[default]
    Auto,
    /// Apply learned conflicts and trace every session.
    Always,
    /// Trace nothing and ignore learned conflicts.
    Never,
}
