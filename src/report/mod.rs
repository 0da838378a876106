//! What records say: a page, words, JSON, traces, JUnit.

mod axis;
mod chain;
mod embedded;
mod junit;
mod page;
mod past;
mod perfetto;
mod slipcover;
mod suites;
mod table;
mod tiles;
mod view;
mod whole;
mod words;

pub use chain::{Because, Bounds, Link};
pub use junit::{Junit, junit};
pub use page::{PageError, page};
pub use past::{Flaky, Past, PastRun};
pub use perfetto::perfetto;
pub use slipcover::{CoverageError, Slipcover};
pub use table::Table;
pub use whole::{AttemptFigures, REPORT_VERSION, Report, RunFigures, SessionFigures};
pub use words::{Tail, markdown, text};
