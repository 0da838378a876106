//! The reporters of a run, one per file, and the registry that opens them.

mod board;
mod json;
mod json_lines;
mod lines;
mod registry;
mod step_summary;

#[cfg(test)]
pub(crate) use lines::LineReporter;
pub use registry::open_reporters;
