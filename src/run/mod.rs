//! Graph, plan, schedule and processes of a run.

mod attempt;
mod capacity;
mod clock;
mod dispatcher;
mod ending;
mod gathering;
mod graph;
mod hosted;
mod jobserver;
mod launch;
mod lent;
mod nox_report;
mod options;
mod outputs;
mod plan;
mod pressure;
pub mod process;
mod provide;
mod provider;
mod providing;
mod race;
mod racing;
mod scene;
mod schedule;
mod sequence;
mod shard;
mod share;
mod starting;
mod timing;
mod tracing;

pub use capacity::{memory_available, room};
pub use dispatcher::{Dispatcher, Given, Message};
pub use gathering::restore_logs;
pub use graph::{CycleStep, Graph, GraphError, Node};
pub use hosted::Hosted;
pub use launch::{Answer, Finish, Launch, Order, Race};
pub use lent::Lent;
pub use nox_report::nox_report;
pub use options::{
    After, Backoff, CacheMode, Caching, Cpus, FailFast, FlakyMode, OutputStyle, RetryPolicy, RunOptions,
    SessionOptions, SessionRule, Words, glob_matches, limit, pattern_names,
};
pub use plan::{Forecast, PlannedSession, Room, RunPlan};
pub use provide::{Errands, Provide, Provided, SessionOver};
pub use provider::Provider;
pub use schedule::{Abort, Scheduler, Start, Work};
pub use shard::{NoShard, Part, Shard, ShardPlan, deal};
pub use tracing::Tracing;
