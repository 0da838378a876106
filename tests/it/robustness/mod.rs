//! Runs under signals, kills, full disks, blocked readers and a crashed host.

mod blocked_readers;
mod credentials;
pub(crate) mod disk;
mod host_death;
mod hostile_audits;
mod hostile_files;
mod hostile_links;
mod hostile_names;
mod hostile_records;
mod incomplete_environments;
mod limits;
mod mutated_inputs;
mod nox_faults;
mod secret_leaks;
mod storm;
