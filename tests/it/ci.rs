//! Many runners, one run: shards, matrices, merged records and coverage, gates; remote caches.

mod action;
mod backends;
mod coverage;
mod faults;
mod gate;
mod merge;
mod old_uv;
mod remote;
mod server;
mod shards;
mod step;
