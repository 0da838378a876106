//! The Actions cache service, version 1: Forgejo, Gitea, act.
//!
//! The service matches key prefixes, so the key in every response is compared. Keys are returned in lower case. The
//! length of an archive is taken from `Content-Range`, because `HEAD` is refused. Verified with act 0.2.89 and the code
//! of the Forgejo runner.

use std::ops::Range;

use serde::Deserialize;
use serde_json::json;

use super::actions::{AccessMode, UPLOAD_CHUNK_BYTES, cache_version, invalid_json_error};
use super::ranged_read::{UrlCache, check_success, unexpected_status};
use crate::cache::backend::{BackendCapabilities, BackendError, CacheBackend, StoredObject, validate_key};
use crate::cache::http::{HttpClient, HttpRequest, HttpResponse, RequestBody};

/// Maximum size of a response that is not an archive, in bytes.
const MAX_RESPONSE_BYTES: u64 = 1 << 20;

/// A client of the service at one URL.
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
    /// Creates a client; `base` is the value of `ACTIONS_CACHE_URL`.
    pub fn new(client: HttpClient, base: &str, token: &str, access: AccessMode) -> Self {
        let base = format!("{}/_apis/artifactcache/", base.trim_end_matches('/'));
        Self { client, base_url: base, token: token.to_owned(), access, url_cache: UrlCache::default() }
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
        body: RequestBody<'_>,
    ) -> Result<HttpResponse, BackendError> {
        let url = format!("{}{path}", self.base_url);
        let mut all_headers = self.default_headers();
        all_headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let response = self.client.send_with_retries(&HttpRequest {
            method,
            url: &url,
            headers: all_headers,
            body,
            max_response_bytes: MAX_RESPONSE_BYTES,
            skip_bytes: 0,
        })?;
        match response.status {
            401 | 403 => {
                let reason = format!("{} ({})", response.body_summary(), response.status);
                self.client.retry_budget().give_up(&format!("refused: {reason}"));
                Err(BackendError::Refused(reason))
            }
            _ => Ok(response),
        }
    }

    /// Finds the entry with this key, or else the newest whose key begins with it.
    fn find_entry(&self, key: &str) -> Result<Option<CacheEntryResponse>, BackendError> {
        // The service would match any entry with an empty key.
        validate_key(key)?;
        let path = format!("cache?keys={}&version={}", key.replace('/', "%2F"), cache_version());
        let response = self.send_request("GET", &path, &[], RequestBody::None)?;
        match response.status {
            204 | 404 => Ok(None),
            200 => {
                serde_json::from_slice(&response.body).map(Some).map_err(|error| invalid_json_error(&response, &error))
            }
            _ => Err(unexpected_status(&response)),
        }
    }
}

impl CacheBackend for ActionsCacheV1 {
    fn display_name(&self) -> String {
        "the Actions cache (v1)".to_owned()
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
            || Ok(self.find_entry(key)?.map(|entry| (entry.cache_key.to_ascii_lowercase(), entry.archive_location)));
        self.url_cache.read_range(&self.client, key, range, &find)
    }

    fn put_object(&self, key: &str, body: RequestBody<'_>) -> Result<(), BackendError> {
        self.access.check_write()?;
        validate_key(key)?;
        let size = body.len();
        let reserve = json!({ "key": key, "version": cache_version(), "cacheSize": size }).to_string();
        let json = [("content-type", "application/json")];
        let response = self.send_request("POST", "caches", &json, RequestBody::Bytes(reserve.as_bytes()))?;
        let id = match response.status {
            // The entry exists already.
            409 => return Ok(()),
            200 | 201 => {
                let reserved: ReserveCacheResponse =
                    serde_json::from_slice(&response.body).map_err(|error| invalid_json_error(&response, &error))?;
                reserved.cache_id
            }
            _ => return Err(unexpected_status(&response)),
        };
        let path = format!("caches/{id}");
        let mut offset = 0;
        while offset < size {
            let len = UPLOAD_CHUNK_BYTES.min(size - offset);
            let range = format!("bytes {offset}-{}/*", offset + len - 1);
            let headers = [("content-type", "application/octet-stream"), ("content-range", range.as_str())];
            let response = self.send_request("PATCH", &path, &headers, body.slice_range(offset, len))?;
            check_success(&response)?;
            offset += len;
        }
        let commit = json!({ "size": size }).to_string();
        let response = self.send_request("POST", &path, &json, RequestBody::Bytes(commit.as_bytes()))?;
        // A retry of a commit that succeeded is rejected with this message.
        let is_committed =
            response.status == 400 && String::from_utf8_lossy(&response.body).contains("already complete");
        if is_committed { Ok(()) } else { check_success(&response) }
    }

    fn list_objects(&self, prefix: &str) -> Result<Vec<StoredObject>, BackendError> {
        self.access.check_read()?;
        let Some(entry) = self.find_entry(prefix)? else { return Ok(Vec::new()) };
        let key = entry.cache_key.to_ascii_lowercase();
        if !key.starts_with(prefix) {
            return Ok(Vec::new());
        }
        self.url_cache.insert(&key, &entry.archive_location);
        Ok(vec![StoredObject { key, written_at: None }])
    }

    fn delete_object(&self, _: &str) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("the Actions cache does not support deletion"))
    }
}
