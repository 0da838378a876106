//! The kinds of reporters, and which of them a run gets.

mod board;
mod json;
mod json_lines;
mod lines;
mod open;
mod step_summary;

pub use board::BoardReporter;
pub use json::{JsonReporter, RunDocument};
pub use json_lines::JsonLinesReporter;
pub use lines::LineReporter;
pub use open::open_reporters;
pub use step_summary::StepSummaryReporter;
