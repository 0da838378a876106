//! `noxide run`: graph, plan, scheduler, dispatcher, records.

mod artifacts;
mod command;
mod coverage_data;
mod dispatcher;
mod graph;
mod memory_pressure;
mod provisioning;
mod real_projects;
mod records;
mod rerun;
mod schedule;
mod session_resources;
mod shared_resources;
