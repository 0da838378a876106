//! Durations of past CI runs, read from what forges and nox left: API answers, commit statuses, logs.

mod answer;
mod fetch;
mod fields;
mod lines;
mod read;
mod span;
mod statuses;

pub use fetch::{FetchError, Fetched, fetch};
pub use read::{Import, ImportError, read};
