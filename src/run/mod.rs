//! Running sessions: graph, plan, scheduler, dispatcher, processes.

mod artifact_collector;
mod attempt;
mod capacity;
mod coverage_files;
mod crash_recovery;
mod dispatcher;
mod execution;
mod graph;
mod host_launcher;
mod jobserver;
mod launcher;
mod nox_report;
mod options;
mod order_check;
mod pending_environments;
mod pending_provision;
mod plan;
mod prepared_run;
pub mod process;
mod run_clock;
mod run_tracing;
mod scheduler;
mod session_cleanup;
mod session_locks;
mod session_resources;
mod shard;
mod solo_reruns;
mod timeout_context;
mod unsuccessful_sessions;
mod worker_share;

pub(crate) use capacity::detect_capacity;
pub(crate) use crash_recovery::open_run_store;
pub use dispatcher::{Dispatcher, RunContext, RunMessage};
pub(crate) use execution::{
    ExecutionInputs, RunResult, RunStartError, execute_run, forward_signals, is_signal_exit, listen_for_keys,
};
pub use graph::{CycleStep, GraphError, GraphNode, PlanIndex, SessionGraph};
pub use launcher::{ExitReport, LaunchRequest, OrderConflict, PathConflict, SessionEvent, SessionLauncher};
pub(crate) use nox_report::write_nox_report;
pub use options::{
    AfterPattern, CpuCount, FailFast, FlakyMode, OutputStyle, RetryBackoff, RetryPolicy, RunOptions, SessionOptions,
    SessionOverrides,
};
pub(crate) use options::{NamedChoice, glob_matches, nonzero_limit};
pub use plan::{PlannedSession, RunCapacity, RunPlan, SessionForecast};
pub(crate) use prepared_run::{PrepareError, PrepareInputs, PreparedRun, RunOrigin};
pub use run_tracing::RunTracing;
pub use scheduler::{NeedCondition, Scheduler, SchedulerTask, SessionAbort, SessionStart};
pub use session_resources::SessionResources;
pub use shard::{Shard, ShardError};
pub(crate) use shard::{ShardPart, ShardPlan};
pub(crate) use unsuccessful_sessions::UnsuccessfulSessions;
