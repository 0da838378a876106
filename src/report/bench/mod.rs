//! Before and after measured in interleaved rounds: plan, rounds, figures, table.

mod figures;
mod marked;
mod plan;
mod rounds;

pub use figures::{BENCH_VERSION, Bench, Facts, Line, Saving};
pub use marked::{BEGIN, END, MarkedError, marked};
pub use plan::{BenchPlan, Caches, Step, Variant};
pub use rounds::{Executor, Measured, Sample, rounds};
