//! Graph, plan, schedule and processes of a run.

mod capacity;
mod graph;
mod options;
mod plan;
mod schedule;

pub use capacity::{memory_available, room};
pub use graph::{CycleStep, Graph, GraphError, Node};
pub use options::{
    After, Backoff, Cpus, FailFast, FlakyMode, OutputStyle, RetryPolicy, RunOptions, SessionOptions, SessionRule,
    Words, glob_matches, limit, pattern_names,
};
pub use plan::{Forecast, PlannedSession, Room, RunPlan};
pub use schedule::{Abort, Scheduler, Start, Work};
