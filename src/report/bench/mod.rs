//! Benchmarks of whole commands in interleaved rounds: plan, execution, results, table.

mod checkout_copy;
mod markdown_block;
mod plan;
mod results;
mod rounds;
mod runner;

pub(crate) use markdown_block::replace_marked_block;
pub use plan::{BenchCacheState, BenchPlan, BenchStep, BenchVariant};
pub use results::{BenchEnvironment, BenchReport, BenchRow, CacheSaving};
pub use rounds::{BenchExecutor, BenchMeasurement, BenchSample, run_rounds};
pub(crate) use runner::{BenchError, BenchProcesses, BenchProgress, BenchRunner};
