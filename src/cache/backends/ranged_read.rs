//! Ranged reads through download URLs, which are cached so that each is requested once.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cache::backend::BackendError;
use crate::cache::http::{HttpClient, HttpRequest, HttpResponse, RequestBody};

/// Download URLs by key.
#[derive(Debug, Default)]
pub(super) struct UrlCache(Mutex<HashMap<String, String>>);

/// A key found by the service and its download URL.
type FindEntryResult = Result<Option<(String, String)>, BackendError>;

impl UrlCache {
    /// Stores the URL of an entry.
    pub(super) fn insert(&self, key: &str, url: &str) {
        self.lock_urls().insert(key.to_owned(), url.to_owned());
    }

    /// Reads a range of the entry with exactly this key; `find` queries the service, which may return another key.
    pub(super) fn read_range(
        &self,
        client: &HttpClient,
        key: &str,
        range: Range<u64>,
        find: &dyn Fn() -> FindEntryResult,
    ) -> Result<Option<Vec<u8>>, BackendError> {
        for refresh in [false, true] {
            let cached = self.lock_urls().get(key).filter(|_| !refresh).cloned();
            let url = match cached {
                Some(url) => url,
                None => match find()?.filter(|(found, _)| found == key) {
                    Some((_, url)) => url,
                    None => return Ok(None),
                },
            };
            self.insert(key, &url);
            // The URL may have expired, or the entry may have been deleted: query the service once more.
            if let RangeRead::Bytes(bytes) = fetch_range(client, &url, range.clone())? {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    fn lock_urls(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Result of a ranged read.
enum RangeRead {
    /// The bytes; fewer if the object ends earlier.
    Bytes(Vec<u8>),
    /// The URL is no longer valid.
    Gone,
}

/// Reads a range of a URL.
fn fetch_range(client: &HttpClient, url: &str, range: Range<u64>) -> Result<RangeRead, BackendError> {
    let max_bytes = range.end.saturating_sub(range.start);
    if max_bytes == 0 {
        return Ok(RangeRead::Bytes(Vec::new()));
    }
    let headers = vec![("range".to_owned(), format!("bytes={}-{}", range.start, range.end - 1))];
    let request = HttpRequest {
        method: "GET",
        url,
        headers,
        body: RequestBody::None,
        max_response_bytes: max_bytes,
        skip_bytes: range.start,
    };
    let response = client.send_with_retries(&request)?;
    match response.status {
        401 | 403 | 404 | 410 => Ok(RangeRead::Gone),
        _ => into_range_bytes(response, &range).map(RangeRead::Bytes),
    }
}

/// Returns the body of a response to a ranged request.
pub(super) fn into_range_bytes(response: HttpResponse, range: &Range<u64>) -> Result<Vec<u8>, BackendError> {
    match response.status {
        200 | 206 => check_content_range(&response, range).map(|()| response.body),
        // The range begins after the end of the object.
        416 => Ok(Vec::new()),
        _ => Err(unexpected_status(&response)),
    }
}

/// Checks that the response has the requested range and the length that the server states.
fn check_content_range(response: &HttpResponse, range: &Range<u64>) -> Result<(), BackendError> {
    // A response with the whole object was cut to the range by the client.
    let Some(total) = response.total_length() else { return Ok(()) };
    let expected = total.min(range.end).saturating_sub(range.start);
    let has_start = response.header_value("content-range").is_none_or(|value| {
        value.trim_start_matches("bytes").trim().split('-').next().and_then(|first| first.parse().ok())
            == Some(range.start)
    });
    if has_start && response.body.len() as u64 == expected {
        Ok(())
    } else {
        Err(BackendError::UnexpectedResponse(format!("{} bytes for a range of {expected}", response.body.len())))
    }
}

/// Checks that an upload succeeded.
pub(super) fn check_success(response: &HttpResponse) -> Result<(), BackendError> {
    if (200..300).contains(&response.status) { Ok(()) } else { Err(unexpected_status(response)) }
}

/// Returns the error for an unexpected status code.
pub(super) fn unexpected_status(response: &HttpResponse) -> BackendError {
    BackendError::UnexpectedResponse(format!("status {}: {}", response.status, response.body_summary()))
}
