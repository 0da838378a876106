//! The kinds of reporters, and which of them a run gets.

mod board;
mod json;
mod json_lines;
mod lines;
mod open;
mod step_summary;

pub(crate) use board::BoardReporter;
pub(crate) use json::JsonReporter;
pub(crate) use json_lines::JsonLinesReporter;
pub(crate) use lines::LineReporter;
pub use open::open_reporters;
pub(crate) use step_summary::StepSummaryReporter;
