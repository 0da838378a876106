//! What is known of races while a run lasts.

use std::collections::{BTreeMap, VecDeque};

/// What is known of races in a run.
#[derive(Debug, Default)]
pub(super) struct RaceState {
    /// Attempts that are over: place, start and end.
    pub(super) attempt_spans: Vec<(usize, u64, u64)>,
    /// Sessions that raced, with what to say of it.
    pub(super) descriptions: BTreeMap<usize, String>,
    /// Those of them that wait to be run alone, with their slots.
    pub(super) pending_exclusive: VecDeque<(usize, Vec<usize>)>,
    /// The one that runs alone.
    pub(super) running_exclusive: Option<usize>,
}
