//! Ranged reads, and where the Actions services say that entries lie: each address is asked for once.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cache::backend::BackendError;
use crate::cache::http::{Answer, Client, Payload, Request};

/// Addresses by key.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<HashMap<String, String>>);

/// A key that was found, and where its bytes lie.
type Found = Result<Option<(String, String)>, BackendError>;

impl Places {
    /// Remembers where an entry lies.
    pub(super) fn remember(&self, key: &str, url: &str) {
        self.all().insert(key.to_owned(), url.to_owned());
    }

    /// Reads part of the entry of exactly this key; `find` asks the service, which may answer with another one.
    pub(super) fn read(
        &self,
        client: &Client,
        key: &str,
        range: Range<u64>,
        find: &dyn Fn() -> Found,
    ) -> Result<Option<Vec<u8>>, BackendError> {
        for anew in [false, true] {
            let known = self.all().get(key).filter(|_| !anew).cloned();
            let url = match known {
                Some(url) => url,
                None => match find()?.filter(|(found, _)| found == key) {
                    Some((_, url)) => url,
                    None => return Ok(None),
                },
            };
            self.remember(key, &url);
            // An address may have run out, or the entry may have been swept: asked for once more.
            if let Ranged::Bytes(bytes) = ranged(client, &url, range.clone())? {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a ranged read gave.
enum Ranged {
    /// The bytes; fewer where the object ends before.
    Bytes(Vec<u8>),
    /// The address leads nowhere any more.
    Gone,
}

/// Reads a range of what lies at an address.
fn ranged(client: &Client, url: &str, range: Range<u64>) -> Result<Ranged, BackendError> {
    let most = range.end.saturating_sub(range.start);
    if most == 0 {
        return Ok(Ranged::Bytes(Vec::new()));
    }
    let headers = vec![("range".to_owned(), format!("bytes={}-{}", range.start, range.end - 1))];
    let request = Request { method: "GET", url, headers, payload: Payload::None, most, skip: range.start };
    let answer = client.send(&request)?;
    match answer.status {
        401 | 403 | 404 | 410 => Ok(Ranged::Gone),
        _ => part_of(answer, &range).map(Ranged::Bytes),
    }
}

/// The bytes of an answer to a ranged request.
pub(super) fn part_of(answer: Answer, range: &Range<u64>) -> Result<Vec<u8>, BackendError> {
    match answer.status {
        200 | 206 => check_range(&answer, range).map(|()| answer.body),
        // Behind its end there is nothing.
        416 => Ok(Vec::new()),
        _ => Err(unexpected(&answer)),
    }
}

/// The part must be the one asked for, and as long as the server itself says.
fn check_range(answer: &Answer, range: &Range<u64>) -> Result<(), BackendError> {
    // A whole object was cut to the range as it came.
    let Some(total) = answer.total() else { return Ok(()) };
    let want = total.min(range.end).saturating_sub(range.start);
    let starts = answer.header("content-range").is_none_or(|value| {
        value.trim_start_matches("bytes").trim().split('-').next().and_then(|first| first.parse().ok())
            == Some(range.start)
    });
    if starts && answer.body.len() as u64 == want {
        Ok(())
    } else {
        Err(BackendError::Answer(format!("{} bytes of a range of {want}", answer.body.len())))
    }
}

/// Whether what was sent was taken.
pub(super) fn taken(answer: &Answer) -> Result<(), BackendError> {
    if (200..300).contains(&answer.status) { Ok(()) } else { Err(unexpected(answer)) }
}

/// An answer that this protocol does not have.
pub(super) fn unexpected(answer: &Answer) -> BackendError {
    BackendError::Answer(format!("status {}: {}", answer.status, answer.said()))
}
