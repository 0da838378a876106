//! Durations of past CI runs, read from what forges and nox left: API answers, commit statuses, logs.

mod api_response;
mod duration;
mod fetch;
mod json_fields;
mod nox_log;
mod parse;
mod statuses;

pub(crate) use fetch::fetch_pages;
pub use parse::{ImportError, ImportedHistory, parse_import};
