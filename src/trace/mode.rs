//! What a caller may choose about tracing.

/// What a run does about conflicts between sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TraceMode {
    /// Conflicts learnt before count; traced are only sessions whose knowledge is stale.
    #[default]
    Auto,
    /// Conflicts learnt before count, and every session is traced.
    Always,
    /// Nothing is traced, and what was learnt does not count.
    Never,
}
