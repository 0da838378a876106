//! The kinds of reporters, and which of them a run gets.

mod board;
mod document;
mod events;
mod lines;
mod open;
mod step_summary;

pub use board::Board;
pub use document::{Document, RunDocument};
pub use events::Events;
pub use lines::Lines;
pub use open::open;
pub use step_summary::StepSummary;
