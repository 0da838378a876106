//! Import of past CI runs: durations from forge APIs, commit statuses and saved logs.

mod api_response;
mod duration;
mod fetch;
mod json_fields;
mod nox_log;
mod parse;
mod statuses;

pub(crate) use fetch::fetch_pages;
pub use parse::{ImportError, ImportedHistory, parse_import};
