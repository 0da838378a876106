//! Durations of past CI runs, read from what forges and nox left: API answers, commit statuses, logs.

mod api_response;
mod duration;
mod fetch;
mod json_fields;
mod nox_log;
mod parse;
mod statuses;

pub use fetch::{FetchError, ForgeResponse, fetch_pages};
pub use parse::{ImportError, ImportedHistory, parse_import};
