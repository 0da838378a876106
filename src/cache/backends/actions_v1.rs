//! The Actions cache service, version 1: Forgejo's runner, Gitea's, act.
//!
//! Entries are found by key prefixes, so every answer's key is compared; keys come back in lower case; the length of an
//! archive is learnt from `Content-Range`, since `HEAD` is refused. Seen on act 0.2.89 and in the Forgejo runner's code.

use std::ops::Range;

use serde::Deserialize;
use serde_json::json;

use super::mode::Mode;
use super::places::{Places, taken, unexpected};
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
    places: Places,
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
        Self { client, base, token: token.to_owned(), mode, places: Places::default() }
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
        let find = || Ok(self.find(key)?.map(|found| (found.cache_key.to_ascii_lowercase(), found.archive_location)));
        self.places.read(&self.client, key, range, &find)
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
            taken(&answer)?;
            from += len;
        }
        let body = json!({ "size": size }).to_string();
        let answer = self.send("POST", &path, &json, Payload::Bytes(body.as_bytes()))?;
        // A commit that was sent twice was done the first time.
        let done = answer.status == 400 && String::from_utf8_lossy(&answer.body).contains("already complete");
        if done { Ok(()) } else { taken(&answer) }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>, BackendError> {
        self.mode.check_read()?;
        let Some(found) = self.find(prefix)? else { return Ok(Vec::new()) };
        let key = found.cache_key.to_ascii_lowercase();
        if !key.starts_with(prefix) {
            return Ok(Vec::new());
        }
        self.places.remember(&key, &found.archive_location);
        Ok(vec![Object { key, time: None }])
    }

    fn delete(&self, _: &str) -> Result<(), BackendError> {
        Err(BackendError::Mode("the forge's cache removes entries itself"))
    }
}

/// Entries of ours have this version, whatever their paths: what the official client has there is a digest too.
pub(super) fn version() -> String {
    blake3::hash(b"noxide pack 1").to_hex().to_string()
}

pub(super) fn not_understood(answer: &Answer, error: &serde_json::Error) -> BackendError {
    BackendError::Answer(format!("{error} in `{}`", answer.said()))
}
