//! Ranged reads, and where the Actions services say that entries lie: each address is asked for once.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cache::backend::BackendError;
use crate::cache::http::{HttpClient, HttpRequest, HttpResponse, RequestBody};

/// Addresses by key.
#[derive(Debug, Default)]
pub(super) struct UrlCache(Mutex<HashMap<String, String>>);

/// A key that was found, and where its bytes lie.
type FindEntryResult = Result<Option<(String, String)>, BackendError>;

impl UrlCache {
    /// Remembers where an entry lies.
    pub(super) fn insert(&self, key: &str, url: &str) {
        self.lock_urls().insert(key.to_owned(), url.to_owned());
    }

    /// Reads part of the entry of exactly this key; `find` asks the service, which may answer with another one.
    pub(super) fn read_range(
        &self,
        client: &HttpClient,
        key: &str,
        range: Range<u64>,
        find: &dyn Fn() -> FindEntryResult,
    ) -> Result<Option<Vec<u8>>, BackendError> {
        for anew in [false, true] {
            let known = self.lock_urls().get(key).filter(|_| !anew).cloned();
            let url = match known {
                Some(url) => url,
                None => match find()?.filter(|(found, _)| found == key) {
                    Some((_, url)) => url,
                    None => return Ok(None),
                },
            };
            self.insert(key, &url);
            // An address may have run out, or the entry may have been swept: asked for once more.
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

/// What a ranged read gave.
enum RangeRead {
    /// The bytes; fewer where the object ends before.
    Bytes(Vec<u8>),
    /// The address leads nowhere any more.
    Gone,
}

/// Reads a range of what lies at an address.
fn fetch_range(client: &HttpClient, url: &str, range: Range<u64>) -> Result<RangeRead, BackendError> {
    let most = range.end.saturating_sub(range.start);
    if most == 0 {
        return Ok(RangeRead::Bytes(Vec::new()));
    }
    let headers = vec![("range".to_owned(), format!("bytes={}-{}", range.start, range.end - 1))];
    let request = HttpRequest {
        method: "GET",
        url,
        headers,
        body: RequestBody::None,
        max_response_bytes: most,
        skip_bytes: range.start,
    };
    let answer = client.send_with_retries(&request)?;
    match answer.status {
        401 | 403 | 404 | 410 => Ok(RangeRead::Gone),
        _ => into_range_bytes(answer, &range).map(RangeRead::Bytes),
    }
}

/// The bytes of an answer to a ranged request.
pub(super) fn into_range_bytes(answer: HttpResponse, range: &Range<u64>) -> Result<Vec<u8>, BackendError> {
    match answer.status {
        200 | 206 => check_content_range(&answer, range).map(|()| answer.body),
        // Behind its end there is nothing.
        416 => Ok(Vec::new()),
        _ => Err(unexpected_status(&answer)),
    }
}

/// The part must be the one asked for, and as long as the server itself says.
fn check_content_range(answer: &HttpResponse, range: &Range<u64>) -> Result<(), BackendError> {
    // A whole object was cut to the range as it came.
    let Some(total) = answer.total_length() else { return Ok(()) };
    let want = total.min(range.end).saturating_sub(range.start);
    let starts = answer.header_value("content-range").is_none_or(|value| {
        value.trim_start_matches("bytes").trim().split('-').next().and_then(|first| first.parse().ok())
            == Some(range.start)
    });
    if starts && answer.body.len() as u64 == want {
        Ok(())
    } else {
        Err(BackendError::UnexpectedResponse(format!("{} bytes of a range of {want}", answer.body.len())))
    }
}

/// Whether what was sent was taken.
pub(super) fn check_success(answer: &HttpResponse) -> Result<(), BackendError> {
    if (200..300).contains(&answer.status) { Ok(()) } else { Err(unexpected_status(answer)) }
}

/// An answer that this protocol does not have.
pub(super) fn unexpected_status(answer: &HttpResponse) -> BackendError {
    BackendError::UnexpectedResponse(format!("status {}: {}", answer.status, answer.body_summary()))
}
