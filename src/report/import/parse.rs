//! Format detection for imported files and API responses.

use serde_json::Value;

use super::api_response;
use super::json_fields::LocatedJson;
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
pub fn parse_import(place: &str, bytes: &[u8]) -> Result<ImportedHistory, ImportError> {
    let refuse = |why: String| ImportError { location: place.to_owned(), reason: why };
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}').trim();
    let first = text.chars().next();
    if text.get(..200).unwrap_or(text).trim_start().to_lowercase().starts_with("<!doctype html")
        || text.to_lowercase().starts_with("<html")
    {
        return Err(refuse("this is a web page, not an answer of the API: a sign-in, or a wrong address".to_owned()));
    }
    if !matches!(first, Some('{' | '[')) || text.starts_with("[20") {
        return import_log(place, text, bytes).map_err(refuse);
    }
    let answer: Value = serde_json::from_str(text).map_err(|error| refuse(format!("not valid JSON: {error}")))?;
    let told = match &answer {
        Value::Array(_) => {
            LocatedJson::new(&answer, "answer").list_items().and_then(|entries| api_response::parse_list(&entries))
        }
        _ => api_response::parse_object(&answer),
    };
    let (runs, passed_over) = told.map_err(refuse)?;
    Ok(ImportedHistory { runs, skipped_entries: passed_over })
}

fn import_log(place: &str, text: &str, bytes: &[u8]) -> Result<ImportedHistory, String> {
    let log = parse_log(text);
    if log.jobs.is_empty() {
        return Err("nothing in it says how long anything took: neither JSON of a forge, nor lines of nox \
                    (`nox > Session lint was successful …`), nor checks (`lint Successful in 26s`)"
            .to_owned());
    }
    let passed_over = log.jobs.iter().filter(|job| job.wall_ms.is_none()).count();
    let passed = log.jobs.iter().all(|job| job.passed);
    let name = place.rsplit('/').next().unwrap_or(place);
    // The same log under another name is the same run.
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
    Ok(ImportedHistory { runs: vec![run], skipped_entries: passed_over })
}
