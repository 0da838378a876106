//! Subcommands: settings in, exit code out.

mod args;
mod argv;
mod audience;
mod audit;
mod bench;
mod bench_args;
mod cache;
mod cache_flags;
mod chosen;
mod ci;
mod ci_flags;
mod copy;
mod coverage;
mod dependencies;
mod failure;
mod format;
mod gate;
mod history;
mod history_args;
mod host_flags;
mod keyed;
mod listing;
mod main;
mod matrix;
mod measure;
mod merge;
mod mistakes;
mod nox_flags;
mod opened;
mod provision;
mod races;
mod replay;
mod report;
mod report_args;
mod run;
mod screen;
mod side;
mod trace;
mod trace_args;
mod traced;
mod watch;
mod words;

pub use args::{
    CiArgs, Cli, Command, Format, Global, GraphArgs, GraphFormat, HostArgs, ListArgs, LoadArgs, ReplayArgs, Rerun,
    RunArgs, Running, Shown,
};
pub use audit::{AuditArgs, AuditFormat, InitArgs, Said};
use audit::{audit, init};
pub use bench_args::{BenchArgs, BenchFormat, WhichCaches};
pub use cache::{
    CacheArgs, CacheCommand, CacheKeyArgs, CachePruneArgs, CacheRestoreArgs, CacheSaveArgs, CacheStatusArgs,
    CacheVerifyArgs, UvArgs,
};
pub use cache_flags::CacheFlags;
pub use ci_flags::{CiFlags, GateArgs, MatrixArgs, MergeArgs, Percent};
pub use history_args::{HistoryArgs, HistoryCommand, ImportArgs};
pub use main::main;
pub use mistakes::mistakes;
pub use nox_flags::{Behaviour, Environments, Selection};
pub use report_args::{ReportArgs, ReportFormat};
pub use trace_args::TraceArgs;
