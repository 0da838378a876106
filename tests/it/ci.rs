//! Many runners, one run: shards, matrices, merged records and coverage, gates.

mod coverage;
mod gate;
mod merge;
mod shards;
