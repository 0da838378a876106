//! `noxide cache`: the store against real uv caches, filled from an index of the tests' own.

mod bytecode;
mod command;
mod crowd;
mod damage;
mod disks;
pub(crate) mod fixture;
mod hostile;
mod kills;
mod pips;
mod sessions;
mod store;
mod venv_store;
mod venvs;
