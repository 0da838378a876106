//! `noxide run`: graph, plan, scheduler, dispatcher, records.

mod artifacts;
mod command;
mod coverage_data;
mod dispatcher;
mod graph;
mod install_calls;
mod interrupts;
mod memory_pressure;
mod nox_report;
mod noxfile_import;
mod provisioning;
mod real_projects;
mod reasons;
mod records;
mod rerun;
mod run_data;
mod schedule;
mod session_resources;
mod shared_resources;
mod shared_variables;
mod terminal;
mod two_runs;
