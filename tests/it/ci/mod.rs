//! Runs over several runners: shards, matrices, merged records and coverage, gates, remote caches.

mod action;
mod backends;
mod coverage;
mod faults;
mod gate;
mod merge;
mod old_uv;
mod remote;
mod shards;
mod step;
