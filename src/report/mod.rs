//! What records say: a page, words, JSON, traces, JUnit.

mod axis;
pub mod bench;
mod chain;
mod compare;
mod embedded;
mod import;
mod installs;
mod junit;
mod page;
mod past;
mod perfetto;
mod slipcover;
mod statistics;
mod suites;
mod table;
mod tiles;
mod view;
mod whole;
mod words;

pub use chain::{Because, Bounds, Link};
pub use compare::{COMPARISON_VERSION, Comparison, Named, Row, Side, Timings, compare};
pub use import::{FetchError, Fetched, Import, ImportError, fetch, read};
pub use installs::installs;
pub use junit::{Junit, junit};
pub use page::{PageError, page};
pub use past::{Flaky, Past, PastRun};
pub use perfetto::perfetto;
pub use slipcover::{CoverageError, Slipcover};
pub use statistics::{CONFIDENCE, Ratio, Spread, Verdict};
pub use table::Table;
pub use whole::{AttemptFigures, REPORT_VERSION, Report, RunFigures, SessionFigures};
pub use words::{Tail, markdown, text};
