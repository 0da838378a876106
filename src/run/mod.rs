//! Graph, plan, schedule and processes of a run.

mod options;

pub use options::{
    After, Backoff, Cpus, FailFast, FlakyMode, OutputStyle, RetryPolicy, RunOptions, SessionOptions, SessionRule,
    Words, glob_matches, limit, pattern_names,
};
