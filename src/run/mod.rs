//! Graph, plan, schedule and processes of a run.

mod artifact_collector;
mod attempt;
mod capacity;
mod clock;
mod deadlines;
mod dispatcher;
mod graph;
mod host_launcher;
mod jobserver;
mod launcher;
mod memory_pressure;
mod nox_report;
mod options;
mod pending_provisions;
mod plan;
mod plan_order;
pub mod process;
mod provision_launch;
mod race_retry;
mod race_state;
mod run_tracing;
mod scheduler;
mod session_cleanup;
mod session_finish;
mod session_resources;
mod session_start;
mod shard;
mod timeout_context;
mod worker_share;

pub(crate) use capacity::detect_capacity;
pub use dispatcher::{Dispatcher, RunContext, RunMessage};
pub use graph::{CycleStep, GraphError, GraphNode, SessionGraph};
pub(crate) use host_launcher::HostLauncher;
pub use launcher::{ExitReport, LaunchEvent, LaunchRequest, RaceConflict, SessionLauncher};
pub(crate) use nox_report::build_nox_report;
pub use options::{
    AfterRule, CpuCount, FailFast, FlakyMode, OutputStyle, RetryBackoff, RetryPolicy, RunOptions, SessionOptions,
    SessionRule,
};
pub(crate) use options::{NamedChoice, glob_matches, nonzero_limit};
pub use plan::{PlannedSession, RunCapacity, RunPlan, SessionForecast};
pub use run_tracing::RunTracing;
pub use scheduler::{Scheduler, SchedulerTask, SessionAbort, SessionStart};
pub(crate) use session_cleanup::restore_log_copies;
pub use session_resources::SessionResources;
pub use shard::Shard;
pub use shard::ShardError;
pub(crate) use shard::{ShardPart, ShardPlan};
