//! Subcommands: settings in, exit code out.

mod args;
mod argv;
mod audit;
mod bench;
mod bench_args;
mod bench_runner;
mod cache;
mod checkout_copy;
mod ci;
mod ci_args;
mod compare_target;
mod coverage;
mod dependency_args;
mod error;
mod gate;
mod history;
mod history_args;
mod host_args;
mod list;
mod loaded_project;
mod main;
mod matrix;
mod merge;
mod nox_args;
mod output_context;
mod output_format;
mod replay;
mod report;
mod report_args;
mod run;
mod settings_diagnostics;
mod signals;
mod subscribers;
mod trace;
mod trace_args;
mod trace_report;
mod trace_setup;
mod value_parser;

pub use args::{
    CiArgs, Cli, CliCommand, ExecutionArgs, GlobalArgs, GraphArgs, GraphFormat, HostArgs, ListArgs, LoadArgs,
    OutputArgs, OutputFormat, ReplayArgs, RerunFilter, RunArgs,
};
pub(crate) use audit::CommandOutput;
pub use audit::{AuditArgs, AuditFormat, InitArgs};
use audit::{audit_workflows, init_workflow};
pub use bench_args::BenchArgs;
pub use cache::{CacheArgs, CacheRestoreArgs, CacheSaveArgs, UvArgs};
pub use ci_args::{CiStepArgs, GateArgs, MatrixArgs, MergeArgs};
pub use dependency_args::DependencyArgs;
pub use history_args::HistoryArgs;
pub(crate) use history_args::HistoryCommand;
pub use main::main;
pub use nox_args::{EnvironmentArgs, NoxRunArgs, SelectionArgs};
pub use report_args::ReportArgs;
pub(crate) use report_args::ReportFormat;
pub use settings_diagnostics::settings_diagnostics;
pub use trace_args::TraceArgs;
