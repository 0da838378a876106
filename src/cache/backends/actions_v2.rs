//! The Actions cache service, version 2: GitHub. Requests are Twirp with JSON; archives are transferred through signed
//! URLs of a blob store. Based on the code of the official client (6.3.0).

use std::ops::Range;

use serde_json::{Value, json};

use super::actions::{AccessMode, UPLOAD_CHUNK_BYTES, cache_version, invalid_json_error};
use super::ranged_read::{UrlCache, check_success, unexpected_status};
use crate::cache::backend::{BackendCapabilities, BackendError, CacheBackend, StoredObject, validate_key};
use crate::cache::http::{HttpClient, HttpRequest, RequestBody};

/// Maximum size of a response that is not an archive, in bytes.
const MAX_RESPONSE_BYTES: u64 = 1 << 20;

/// A client of the service at one URL.
#[derive(Debug)]
pub struct ActionsCacheV2 {
    client: HttpClient,
    base_url: String,
    token: String,
    access: AccessMode,
    url_cache: UrlCache,
}

impl ActionsCacheV2 {
    /// Creates a client; `results` is the value of `ACTIONS_RESULTS_URL`, of which only the host is used.
    pub fn new(client: HttpClient, results: &str, token: &str, access: AccessMode) -> Self {
        let (scheme, rest) = results.split_once("://").unwrap_or(("https", results));
        let host = rest.split('/').next().unwrap_or_default();
        let base = format!("{scheme}://{host}/twirp/github.actions.results.api.v1.CacheService/");
        Self { client, base_url: base, token: token.to_owned(), access, url_cache: UrlCache::default() }
    }

    fn call_method(&self, method: &str, body: &Value) -> Result<Value, BackendError> {
        let url = format!("{}{method}", self.base_url);
        let body = body.to_string();
        let headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("authorization".to_owned(), format!("Bearer {}", self.token)),
        ];
        let body = RequestBody::Bytes(body.as_bytes());
        let response = self.client.send_with_retries(&HttpRequest {
            method: "POST",
            url: &url,
            headers,
            body,
            max_response_bytes: MAX_RESPONSE_BYTES,
            skip_bytes: 0,
        })?;
        match response.status {
            200 => serde_json::from_slice(&response.body).map_err(|error| invalid_json_error(&response, &error)),
            401 | 403 => {
                let reason = format!("{} ({})", response.body_summary(), response.status);
                self.client.retry_budget().give_up(&format!("refused: {reason}"));
                Err(BackendError::Refused(reason))
            }
            // Twirp returns 404 for an unknown entry.
            404 => Ok(json!({ "ok": false })),
            _ => Err(unexpected_status(&response)),
        }
    }

    /// Finds the entry with this key, or with `prefix` also the newest whose key begins with it; returns its key and URL.
    fn find_entry(&self, key: &str, prefix: bool) -> Result<Option<(String, String)>, BackendError> {
        validate_key(key)?;
        let restore: &[&str] = if prefix { &[key] } else { &[] };
        let body = json!({ "key": key, "restore_keys": restore, "version": cache_version() });
        let response = self.call_method("GetCacheEntryDownloadURL", &body)?;
        let url = json_field(&response, "signed_download_url", "signedDownloadUrl").and_then(Value::as_str);
        let (true, Some(url)) = (is_ok_response(&response), url) else { return Ok(None) };
        let matched = json_field(&response, "matched_key", "matchedKey").and_then(Value::as_str).unwrap_or(key);
        Ok(Some((matched.to_ascii_lowercase(), url.to_owned())))
    }

    /// Uploads to a signed URL: in one request, or in blocks followed by a list of them.
    fn upload_blob(&self, url: &str, body: RequestBody<'_>) -> Result<(), BackendError> {
        let put = |url: &str, headers: &[(&str, &str)], body: RequestBody<'_>| {
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            check_success(&self.client.send_with_retries(&HttpRequest {
                method: "PUT",
                url,
                headers,
                body,
                max_response_bytes: MAX_RESPONSE_BYTES,
                skip_bytes: 0,
            })?)
        };
        if body.len() <= UPLOAD_CHUNK_BYTES {
            return put(url, &[("x-ms-blob-type", "BlockBlob"), ("content-type", "application/octet-stream")], body);
        }
        let mut list = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>".to_owned();
        let (mut offset, mut number) = (0, 0_u32);
        while offset < body.len() {
            let len = UPLOAD_CHUNK_BYTES.min(body.len() - offset);
            // Block IDs must be base64 of equal length: eight hexadecimal digits are, and need no encoding in a URL.
            let id = format!("{number:08x}");
            put(&format!("{url}&comp=block&blockid={id}"), &[], body.slice_range(offset, len))?;
            list.push_str(&format!("<Latest>{id}</Latest>"));
            (offset, number) = (offset + len, number + 1);
        }
        list.push_str("</BlockList>");
        put(
            &format!("{url}&comp=blocklist"),
            &[("content-type", "application/xml")],
            RequestBody::Bytes(list.as_bytes()),
        )
    }
}

impl CacheBackend for ActionsCacheV2 {
    fn display_name(&self) -> String {
        "the Actions cache (v2)".to_owned()
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
        self.url_cache.read_range(&self.client, key, range, &|| self.find_entry(key, false))
    }

    fn put_object(&self, key: &str, body: RequestBody<'_>) -> Result<(), BackendError> {
        self.access.check_write()?;
        validate_key(key)?;
        let created = self.call_method("CreateCacheEntry", &json!({ "key": key, "version": cache_version() }))?;
        let url = json_field(&created, "signed_upload_url", "signedUploadUrl").and_then(Value::as_str);
        let (true, Some(url)) = (is_ok_response(&created), url) else {
            let message = created.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
            // An existing entry has the same content, because keys identify content.
            let denied = message.contains("denied") || message.contains("insufficient");
            return if denied { Err(BackendError::Refused(message)) } else { Ok(()) };
        };
        self.upload_blob(url, body)?;
        let size = body.len().to_string();
        let body = json!({ "key": key, "size_bytes": size, "version": cache_version() });
        let finalized = self.call_method("FinalizeCacheEntryUpload", &body)?;
        let message =
            || finalized.get("message").and_then(Value::as_str).unwrap_or("the upload was not finalized").to_owned();
        if is_ok_response(&finalized) { Ok(()) } else { Err(BackendError::Refused(message())) }
    }

    fn list_objects(&self, prefix: &str) -> Result<Vec<StoredObject>, BackendError> {
        self.access.check_read()?;
        let Some((key, url)) = self.find_entry(prefix, true)? else { return Ok(Vec::new()) };
        if !key.starts_with(prefix) {
            return Ok(Vec::new());
        }
        self.url_cache.insert(&key, &url);
        Ok(vec![StoredObject { key, written_at: None }])
    }

    fn delete_object(&self, _: &str) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("the Actions cache does not support deletion"))
    }
}

/// Returns a field by its snake-case or camel-case name.
fn json_field<'a>(response: &'a Value, snake: &str, camel: &str) -> Option<&'a Value> {
    response.get(snake).or_else(|| response.get(camel))
}

fn is_ok_response(response: &Value) -> bool {
    response.get("ok").and_then(Value::as_bool).unwrap_or(false)
}
