//! The Actions cache service, version 1: Forgejo's runner, Gitea's, act.
//!
//! Entries are found by key prefixes, so every answer's key is compared; keys come back in lower case; the length of an
//! archive is learnt from `Content-Range`, since `HEAD` is refused. Seen on act 0.2.89 and in the Forgejo runner's code.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Mutex;

use serde::Deserialize;
use serde_json::json;

use super::mode::Mode;
use crate::cache::backend::{Abilities, Backend, BackendError, Object, check_key};
use crate::cache::http::{Answer, Client, Payload, Request};

/// How much is sent at once: what a slow connection still carries in good time.
pub(super) const CHUNK: u64 = 8 * 1024 * 1024;
/// The most bytes of an answer that is no archive.
const ANSWER: u64 = 1 << 20;

/// The service at one address.
#[derive(Debug)]
pub struct ActionsV1 {
    client: Client,
    base: String,
    token: String,
    mode: Mode,
    /// Where archives lie, by key: an address is asked for once.
    places: Mutex<HashMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    archive_location: String,
    #[serde(default)]
    cache_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reserved {
    cache_id: u64,
}

impl ActionsV1 {
    /// The service at `base`, which ends with a slash.
    pub fn new(client: Client, base: &str, token: &str, mode: Mode) -> Self {
        let base = format!("{}/_apis/artifactcache/", base.trim_end_matches('/'));
        Self { client, base, token: token.to_owned(), mode, places: Mutex::default() }
    }

    fn headers(&self) -> Vec<(String, String)> {
        let mut headers = vec![("accept".to_owned(), "application/json;api-version=6.0-preview.1".to_owned())];
        if !self.token.is_empty() {
            headers.push(("authorization".to_owned(), format!("Bearer {}", self.token)));
        }
        headers
    }

    fn send(
        &self,
        method: &'static str,
        path: &str,
        headers: &[(&str, &str)],
        payload: Payload<'_>,
    ) -> Result<Answer, BackendError> {
        let url = format!("{}{path}", self.base);
        let mut all = self.headers();
        all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let answer = self.client.send(&Request { method, url: &url, headers: all, payload, most: ANSWER, skip: 0 })?;
        match answer.status {
            401 | 403 => {
                let why = format!("{} ({})", answer.said(), answer.status);
                self.client.patience().give_up(&format!("refused: {why}"));
                Err(BackendError::Refused(why))
            }
            _ => Ok(answer),
        }
    }

    /// The newest entry whose key is, or else begins with, this.
    fn find(&self, key: &str) -> Result<Option<Found>, BackendError> {
        // An empty key would match any entry.
        check_key(key)?;
        let path = format!("cache?keys={}&version={}", key.replace('/', "%2F"), version());
        let answer = self.send("GET", &path, &[], Payload::None)?;
        match answer.status {
            204 | 404 => Ok(None),
            200 => serde_json::from_slice(&answer.body).map(Some).map_err(|error| not_understood(&answer, &error)),
            _ => Err(unexpected(&answer)),
        }
    }

    /// Where an entry of exactly this key lies.
    fn location(&self, key: &str, anew: bool) -> Result<Option<String>, BackendError> {
        let known = self.places.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(key).cloned();
        if let Some(known) = known.filter(|_| !anew) {
            return Ok(Some(known));
        }
        let Some(found) = self.find(key)? else { return Ok(None) };
        if !found.cache_key.eq_ignore_ascii_case(key) {
            return Ok(None);
        }
        let mut places = self.places.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        places.insert(key.to_owned(), found.archive_location.clone());
        Ok(Some(found.archive_location))
    }
}

impl Backend for ActionsV1 {
    fn title(&self) -> String {
        "the forge's cache (v1)".to_owned()
    }

    fn abilities(&self) -> Abilities {
        Abilities { reads: self.mode.reads(), writes: self.mode.writes(), lists: false, deletes: false }
    }

    fn get(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, BackendError> {
        self.mode.check_read()?;
        for anew in [false, true] {
            let Some(url) = self.location(key, anew)? else { return Ok(None) };
            match ranged(&self.client, &url, range.clone())? {
                Ranged::Bytes(bytes) => return Ok(Some(bytes)),
                // An address may have run out, or the entry may have been swept: asked for once more.
                Ranged::Gone => {}
            }
        }
        Ok(None)
    }

    fn put(&self, key: &str, payload: Payload<'_>) -> Result<(), BackendError> {
        self.mode.check_write()?;
        check_key(key)?;
        let size = payload.len();
        let body = json!({ "key": key, "version": version(), "cacheSize": size }).to_string();
        let json = [("content-type", "application/json")];
        let answer = self.send("POST", "caches", &json, Payload::Bytes(body.as_bytes()))?;
        let id = match answer.status {
            409 => return Ok(()),
            200 | 201 => {
                let reserved: Reserved =
                    serde_json::from_slice(&answer.body).map_err(|error| not_understood(&answer, &error))?;
                reserved.cache_id
            }
            _ => return Err(unexpected(&answer)),
        };
        let path = format!("caches/{id}");
        let mut from = 0;
        while from < size {
            let len = CHUNK.min(size - from);
            let range = format!("bytes {from}-{}/*", from + len - 1);
            let headers = [("content-type", "application/octet-stream"), ("content-range", range.as_str())];
            let answer = self.send("PATCH", &path, &headers, payload.part(from, len))?;
            if !(200..300).contains(&answer.status) {
                return Err(unexpected(&answer));
            }
            from += len;
        }
        let body = json!({ "size": size }).to_string();
        let answer = self.send("POST", &path, &json, Payload::Bytes(body.as_bytes()))?;
        // A commit that was sent twice was done the first time.
        let done = answer.status == 400 && String::from_utf8_lossy(&answer.body).contains("already complete");
        if done || (200..300).contains(&answer.status) { Ok(()) } else { Err(unexpected(&answer)) }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>, BackendError> {
        self.mode.check_read()?;
        let Some(found) = self.find(prefix)? else { return Ok(Vec::new()) };
        let key = found.cache_key.to_ascii_lowercase();
        if !key.starts_with(prefix) {
            return Ok(Vec::new());
        }
        let mut places = self.places.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        places.insert(key.clone(), found.archive_location);
        Ok(vec![Object { key, time: None }])
    }

    fn delete(&self, _: &str) -> Result<(), BackendError> {
        Err(BackendError::Mode("the forge's cache removes entries itself"))
    }
}

/// What a ranged read gave.
pub(super) enum Ranged {
    /// The bytes; fewer where the object ends before.
    Bytes(Vec<u8>),
    /// The address leads nowhere any more.
    Gone,
}

/// Reads a range of what lies at an address.
pub(super) fn ranged(client: &Client, url: &str, range: Range<u64>) -> Result<Ranged, BackendError> {
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

/// Entries of ours have this version, whatever their paths: what the official client has there is a digest too.
pub(super) fn version() -> String {
    blake3::hash(b"noxide pack 1").to_hex().to_string()
}

pub(super) fn unexpected(answer: &Answer) -> BackendError {
    BackendError::Answer(format!("status {}: {}", answer.status, answer.said()))
}

pub(super) fn not_understood(answer: &Answer, error: &serde_json::Error) -> BackendError {
    BackendError::Answer(format!("{error} in `{}`", answer.said()))
}
