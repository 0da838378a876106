//! Benchmarks of commands in interleaved rounds: plan, execution, results, table.

mod checkout_copy;
mod markdown_block;
mod plan;
mod results;
mod rounds;
mod runner;
mod setup;

pub use plan::{BenchCacheChoice, BenchCacheState, BenchPlan, BenchStep, BenchVariant};
pub use results::{BenchEnvironment, BenchFormat, BenchReport, BenchRow, CacheSaving};
pub use rounds::{BenchExecutor, BenchMeasurement, BenchSample, run_rounds};
pub(crate) use runner::{BenchError, BenchProcesses, BenchProgress, BenchRunner};
pub(crate) use setup::{BenchCommands, BenchSetupError, insert_bench_table, write_bench_table};
