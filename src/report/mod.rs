//! Run reports built from records: HTML page, text, Markdown, JSON, trace, JUnit, comparisons, benchmarks.

pub mod bench;
mod comparison;
mod comparison_target;
mod coverage;
mod critical_path;
mod import;
mod install_time;
mod junit;
mod junit_suites;
mod page;
mod page_view;
mod perfetto;
mod run_history;
mod run_report;
mod script_payload;
mod slipcover;
mod statistics;
mod summary_cards;
mod table;
mod text;
mod time_axis;

pub(crate) use comparison::compare_runs;
pub(crate) use comparison_target::{ComparisonTargetError, resolve_comparison_target};
pub(crate) use coverage::{CombineCoverageError, CombinedCoverage, CoverageFloor, combine_coverage};
pub use critical_path::{CriticalPathEntry, LowerBounds, WaitReason};
pub(crate) use import::fetch_pages;
pub use import::{ImportError, ImportedHistory, parse_import};
pub(crate) use junit::write_junit_report;
pub use junit::{JunitReport, build_junit_report};
pub use page::{PageError, render_page};
pub use perfetto::build_perfetto_trace;
pub use run_history::{FlakySession, PastRun, PastSession};
pub use run_report::{AttemptReport, RunReport, RunTotals, SessionReport};
pub use statistics::{ComparisonVerdict, MedianInterval, TimeRatio};
pub use text::{FailedLogTail, render_markdown, render_text};
