//! The Actions cache service, version 1: Forgejo's runner, Gitea's, act.
//!
//! Entries are found by key prefixes, so every answer's key is compared; keys come back in lower case; the length of an
//! archive is learnt from `Content-Range`, since `HEAD` is refused. Seen on act 0.2.89 and in the Forgejo runner's code.

use std::ops::Range;

use serde::Deserialize;
use serde_json::json;

use super::actions::{AccessMode, UPLOAD_CHUNK_BYTES, cache_version, invalid_json_error};
use super::ranged_read::{UrlCache, check_success, unexpected_status};
use crate::cache::backend::{BackendCapabilities, BackendError, CacheBackend, StoredObject, validate_key};
use crate::cache::http::{HttpClient, HttpRequest, HttpResponse, RequestBody};

/// The most bytes of an answer that is no archive.
const MAX_RESPONSE_BYTES: u64 = 1 << 20;

/// The service at one address.
#[derive(Debug)]
pub struct ActionsCacheV1 {
    client: HttpClient,
    base_url: String,
    token: String,
    access: AccessMode,
    url_cache: UrlCache,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CacheEntryResponse {
    archive_location: String,
    #[serde(default)]
    cache_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReserveCacheResponse {
    cache_id: u64,
}

impl ActionsCacheV1 {
    /// The service at `base`, which ends with a slash.
    pub fn new(client: HttpClient, base: &str, token: &str, mode: AccessMode) -> Self {
        let base = format!("{}/_apis/artifactcache/", base.trim_end_matches('/'));
        Self { client, base_url: base, token: token.to_owned(), access: mode, url_cache: UrlCache::default() }
    }

    fn default_headers(&self) -> Vec<(String, String)> {
        let mut headers = vec![("accept".to_owned(), "application/json;api-version=6.0-preview.1".to_owned())];
        if !self.token.is_empty() {
            headers.push(("authorization".to_owned(), format!("Bearer {}", self.token)));
        }
        headers
    }

    fn send_request(
        &self,
        method: &'static str,
        path: &str,
        headers: &[(&str, &str)],
        payload: RequestBody<'_>,
    ) -> Result<HttpResponse, BackendError> {
        let url = format!("{}{path}", self.base_url);
        let mut all = self.default_headers();
        all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let answer = self.client.send_with_retries(&HttpRequest {
            method,
            url: &url,
            headers: all,
            body: payload,
            max_response_bytes: MAX_RESPONSE_BYTES,
            skip_bytes: 0,
        })?;
        match answer.status {
            401 | 403 => {
                let why = format!("{} ({})", answer.body_summary(), answer.status);
                self.client.retry_budget().give_up(&format!("refused: {why}"));
                Err(BackendError::Refused(why))
            }
            _ => Ok(answer),
        }
    }

    /// The newest entry whose key is, or else begins with, this.
    fn find_entry(&self, key: &str) -> Result<Option<CacheEntryResponse>, BackendError> {
        // An empty key would match any entry.
        validate_key(key)?;
        let path = format!("cache?keys={}&version={}", key.replace('/', "%2F"), cache_version());
        let answer = self.send_request("GET", &path, &[], RequestBody::None)?;
        match answer.status {
            204 | 404 => Ok(None),
            200 => serde_json::from_slice(&answer.body).map(Some).map_err(|error| invalid_json_error(&answer, &error)),
            _ => Err(unexpected_status(&answer)),
        }
    }
}

impl CacheBackend for ActionsCacheV1 {
    fn display_name(&self) -> String {
        "the forge's cache (v1)".to_owned()
    }

    fn capabilities(&self) -> BackendCapabilities {
        BackendCapabilities {
            can_read: self.access.can_read(),
            can_write: self.access.can_write(),
            lists_all: false,
            can_delete: false,
        }
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, BackendError> {
        self.access.check_read()?;
        let find =
            || Ok(self.find_entry(key)?.map(|found| (found.cache_key.to_ascii_lowercase(), found.archive_location)));
        self.url_cache.read_range(&self.client, key, range, &find)
    }

    fn put_object(&self, key: &str, payload: RequestBody<'_>) -> Result<(), BackendError> {
        self.access.check_write()?;
        validate_key(key)?;
        let size = payload.len();
        let body = json!({ "key": key, "version": cache_version(), "cacheSize": size }).to_string();
        let json = [("content-type", "application/json")];
        let answer = self.send_request("POST", "caches", &json, RequestBody::Bytes(body.as_bytes()))?;
        let id = match answer.status {
            409 => return Ok(()),
            200 | 201 => {
                let reserved: ReserveCacheResponse =
                    serde_json::from_slice(&answer.body).map_err(|error| invalid_json_error(&answer, &error))?;
                reserved.cache_id
            }
            _ => return Err(unexpected_status(&answer)),
        };
        let path = format!("caches/{id}");
        let mut from = 0;
        while from < size {
            let len = UPLOAD_CHUNK_BYTES.min(size - from);
            let range = format!("bytes {from}-{}/*", from + len - 1);
            let headers = [("content-type", "application/octet-stream"), ("content-range", range.as_str())];
            let answer = self.send_request("PATCH", &path, &headers, payload.slice_range(from, len))?;
            check_success(&answer)?;
            from += len;
        }
        let body = json!({ "size": size }).to_string();
        let answer = self.send_request("POST", &path, &json, RequestBody::Bytes(body.as_bytes()))?;
        // A commit that was sent twice was done the first time.
        let done = answer.status == 400 && String::from_utf8_lossy(&answer.body).contains("already complete");
        if done { Ok(()) } else { check_success(&answer) }
    }

    fn list_objects(&self, prefix: &str) -> Result<Vec<StoredObject>, BackendError> {
        self.access.check_read()?;
        let Some(found) = self.find_entry(prefix)? else { return Ok(Vec::new()) };
        let key = found.cache_key.to_ascii_lowercase();
        if !key.starts_with(prefix) {
            return Ok(Vec::new());
        }
        self.url_cache.insert(&key, &found.archive_location);
        Ok(vec![StoredObject { key, written_at: None }])
    }

    fn delete_object(&self, _: &str) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("the forge's cache removes entries itself"))
    }
}
