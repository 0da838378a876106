//! What is known of races while a run lasts.

use std::collections::{BTreeMap, VecDeque};

/// What is known of races in a run.
#[derive(Debug, Default)]
pub(super) struct Racing {
    /// Attempts that are over: place, start and end.
    pub(super) spans: Vec<(usize, u64, u64)>,
    /// Sessions that raced, with what to say of it.
    pub(super) raced: BTreeMap<usize, String>,
    /// Those of them that wait to be run alone, with their slots.
    pub(super) waiting: VecDeque<(usize, Vec<usize>)>,
    /// The one that runs alone.
    pub(super) alone: Option<usize>,
}
