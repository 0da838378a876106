//! `noxide run`: graph, plan, scheduler, dispatcher, records.

mod artifacts;
mod command;
mod dispatcher;
mod graph;
mod install_calls;
mod memory_pressure;
mod noxfile_import;
mod provisioning;
mod real_projects;
mod records;
mod rerun;
mod schedule;
mod session_resources;
mod shared_memory;
