//! Format detection for imported files and API responses.

use serde_json::Value;

use super::api_response;
use super::json_fields::{LocatedJson, ResponseFormatError};
use super::nox_log::parse_log;
use crate::record::ImportedRun;

/// Imported runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportedHistory {
    /// Parsed runs.
    pub runs: Vec<ImportedRun>,
    /// Number of entries without a usable time: unfinished, cancelled, skipped.
    pub skipped_entries: usize,
}

/// Error parsing an import.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{location}: {reason}")]
pub struct ImportError {
    /// File or URL.
    pub(crate) location: String,
    /// Cause, with the location in the file.
    pub(crate) reason: String,
}

/// Parses bytes that came from a file or URL.
///
/// # Errors
/// If the content is neither a known API response nor a log with durations.
pub fn parse_import(location: &str, bytes: &[u8]) -> Result<ImportedHistory, ImportError> {
    let reject = |reason: String| ImportError { location: location.to_owned(), reason };
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}').trim();
    let first = text.chars().next();
    if text.get(..200).unwrap_or(text).trim_start().to_lowercase().starts_with("<!doctype html")
        || text.to_lowercase().starts_with("<html")
    {
        return Err(reject("this is a web page, not an API response; check the address, and set NOXIDE_FORGE_TOKEN if the forge requires it".to_owned()));
    }
    if !matches!(first, Some('{' | '[')) || text.starts_with("[20") {
        return import_log(location, text, bytes).map_err(|error| reject(error.0));
    }
    let response: Value = serde_json::from_str(text).map_err(|error| reject(format!("not valid JSON: {error}")))?;
    let parsed = match &response {
        Value::Array(_) => {
            LocatedJson::new(&response, "response").list_items().and_then(|entries| api_response::parse_list(&entries))
        }
        _ => api_response::parse_object(&response),
    };
    let (runs, skipped_entries) = parsed.map_err(|error| reject(error.0))?;
    Ok(ImportedHistory { runs, skipped_entries })
}

fn import_log(location: &str, text: &str, bytes: &[u8]) -> Result<ImportedHistory, ResponseFormatError> {
    let log = parse_log(text)?;
    if log.jobs.is_empty() {
        return Err(ResponseFormatError(
            "no durations found; pass an API response (JSON), a log of nox (`nox > Session lint was successful …`) or \
                    a list of checks (`lint Successful in 26s`)"
                .to_owned(),
        ));
    }
    let skipped_entries = log.jobs.iter().filter(|job| job.wall_ms.is_none()).count();
    let passed = log.jobs.iter().all(|job| job.passed);
    let name = location.rsplit('/').next().unwrap_or(location);
    // The digest identifies the log, so importing it again adds no run.
    let digest = blake3::hash(bytes).to_hex();
    let run = ImportedRun {
        source: "nox-log".to_owned(),
        id: format!("{name} {}", &digest[..16]),
        started_at: log.first_timestamp,
        commit: None,
        wall_ms: log.total_ms,
        passed: Some(passed),
        jobs: log.jobs,
    };
    Ok(ImportedHistory { runs: vec![run], skipped_entries })
}
