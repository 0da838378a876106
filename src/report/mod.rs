//! What records say: a page, words, JSON, traces, JUnit.

pub mod bench;
mod comparison;
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

pub use comparison::{
    COMPARISON_VERSION, ComparisonRow, ComparisonSide, RunComparison, RunGroup, RunTimings, compare_runs,
};
pub use critical_path::{CriticalPathEntry, LowerBounds, WaitReason};
pub use import::{FetchError, ForgeResponse, ImportError, ImportedHistory, fetch_pages, parse_import};
pub use install_time::install_seconds;
pub use junit::{JunitReport, build_junit_report};
pub use page::{PageError, render_page};
pub use perfetto::build_perfetto_trace;
pub use run_history::{FlakySession, PastRun, PastSession};
pub use run_report::{AttemptReport, REPORT_VERSION, RunReport, RunTotals, SessionReport};
pub use slipcover::{CoverageError, SlipcoverCoverage};
pub use statistics::{CONFIDENCE_LEVEL, ComparisonVerdict, MedianInterval, TimeRatio};
pub use table::TextTable;
pub use text::{FailedLogTail, render_markdown, render_text};
