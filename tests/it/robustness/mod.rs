//! Runs under signals, kills, full disks, blocked readers and a crashed host.

mod blocked_readers;
pub(crate) mod disk;
mod host_death;
mod hostile_links;
mod incomplete_environments;
mod limits;
mod nox_faults;
mod storm;
