//! `noxide cache`: the store against real uv caches, filled from a package index of the tests.

mod bytecode;
mod command;
mod concurrent;
mod damage;
mod environment_store;
mod environments;
pub(crate) mod fixture;
mod full_disks;
mod hostile_attacks;
mod hostile_stores;
mod installs;
mod keys;
mod killed_runs;
mod kills;
mod local_projects;
mod lock_files;
mod malicious_entries;
mod pip_cache;
mod sessions;
mod store;
mod world_writable;
