//! Import of past CI runs: durations from forge APIs, commit statuses and saved logs.

mod api_response;
mod duration;
mod fetch;
mod json_fields;
mod nox_log;
mod parse;
mod source;
mod statuses;
mod summary;

pub use parse::{ImportError, ImportedHistory, parse_import};
pub(crate) use source::{ImportSourceError, import_sources};
pub(crate) use summary::ImportSummary;
