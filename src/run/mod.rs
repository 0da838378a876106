//! Graph, plan, schedule and processes of a run.

mod artifact_collector;
mod attempt;
mod capacity;
mod clock;
mod crash_recovery;
mod deadlines;
mod dispatcher;
mod execution;
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
mod prepared_run;
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
pub(crate) use crash_recovery::recover_crashed_runs;
pub use dispatcher::{Dispatcher, RunContext, RunMessage};
pub(crate) use execution::{RunResult, RunStartError, RunTarget, execute_run, is_signal_exit};
pub use graph::{CycleStep, GraphError, GraphNode, SessionGraph};
pub use launcher::{ExitReport, LaunchEvent, LaunchRequest, RaceConflict, SessionLauncher};
pub(crate) use nox_report::write_nox_report;
pub use options::{
    AfterRule, CpuCount, FailFast, FlakyMode, OutputStyle, RetryBackoff, RetryPolicy, RunOptions, SessionOptions,
    SessionRule,
};
pub(crate) use options::{NamedChoice, glob_matches, nonzero_limit};
pub use plan::{PlannedSession, RunCapacity, RunPlan, SessionForecast};
pub(crate) use prepared_run::{PrepareError, PrepareInputs, PreparedRun, RunOrigin};
pub use run_tracing::RunTracing;
pub use scheduler::{Scheduler, SchedulerTask, SessionAbort, SessionStart};
pub use session_resources::SessionResources;
pub use shard::Shard;
pub use shard::ShardError;
pub(crate) use shard::{ShardPart, ShardPlan};
