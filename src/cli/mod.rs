//! Subcommands: they parse flags, call another module, and return an exit code.

mod args;
mod audit;
mod bench;
mod build_info;
mod cache;
mod ci;
mod error;
mod exit_code;
mod gate;
mod history;
mod init;
mod list;
mod loaded_project;
mod main;
mod matrix;
mod merge;
mod reference;
mod replay;
mod report;
mod run;
mod run_args;
mod runs;
mod shared_args;
mod trace;

pub use args::{Cli, CliCommand, GlobalArgs};
pub use audit::AuditArgs;
pub use bench::BenchArgs;
pub use cache::{CacheArgs, CacheRestoreArgs, CacheSaveArgs, UvArgs};
pub use error::settings_diagnostics;
pub use gate::GateArgs;
pub use history::HistoryArgs;
pub use init::InitArgs;
pub use list::{GraphArgs, ListArgs};
pub use main::main;
pub use matrix::MatrixArgs;
pub use merge::MergeArgs;
pub use reference::{CompletionsArgs, ManArgs};
pub use replay::ReplayArgs;
pub use report::ReportArgs;
pub use run_args::{CiArgs, CiStepArgs, ExecutionArgs, OutputArgs, RerunFilter, RunArgs};
pub use runs::{LogsArgs, RunsArgs};
pub use shared_args::{DependencyArgs, HostArgs, LoadArgs, LockFileArgs, OutputFormat};
pub use trace::TraceArgs;

pub use crate::project::{EnvironmentArgs, NoxRunArgs, SelectionArgs};
