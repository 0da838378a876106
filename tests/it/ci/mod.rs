//! Runs over several runners: shards, matrices, merged records and coverage, gates, remote caches.

mod act_run;
mod action;
mod backends;
mod coverage;
mod faults;
mod gate;
mod merge;
mod new_workflow;
mod old_uv;
mod remote;
mod shards;
mod step;
