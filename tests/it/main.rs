//! Integration tests: the library's rooms together, and the built binary against real nox and uv.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on should say so
#![allow(unreachable_pub)] // one crate, nothing is exported

mod any_settings;
mod architecture;
mod artifacts;
mod audit;
mod bad_noxfile;
mod cache;
mod ci;
mod cli_help;
mod command_line;
mod dispatcher;
mod example;
mod formats;
mod given;
mod graph;
mod host;
mod host_environment;
mod installs;
mod junit;
mod keys;
mod links;
mod locks;
mod noxide;
mod output;
mod pressure;
mod projects;
mod ran;
mod records;
mod report;
mod rerun;
mod run;
mod schedule;
mod session_process;
mod settings;
mod settings_schema;
mod shares;
mod standby;
mod support;
mod survive;
mod survive_disk;
mod survive_faults;
mod survive_host;
mod survive_limits;
mod survive_storm;
mod wheel;
