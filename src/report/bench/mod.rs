//! Before and after measured in interleaved rounds: plan, rounds, figures, table.

mod markdown_block;
mod plan;
mod results;
mod rounds;

pub use markdown_block::{BEGIN_MARKER, END_MARKER, MarkdownBlockError, replace_marked_block};
pub use plan::{BenchCacheState, BenchPlan, BenchStep, BenchVariant};
pub use results::{BENCH_VERSION, BenchEnvironment, BenchReport, BenchRow, CacheSaving};
pub use rounds::{BenchExecutor, BenchMeasurement, BenchSample, run_rounds};
