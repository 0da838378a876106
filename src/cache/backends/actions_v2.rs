//! The Actions cache service, version 2: GitHub. Twirp with JSON for the talk, signed addresses of a blob store for the
//! bytes. What is known of it is the official client's code (6.3.0).

use std::ops::Range;

use serde_json::{Value, json};

use super::actions::{AccessMode, UPLOAD_CHUNK_BYTES, cache_version, invalid_json_error};
use super::ranged_read::{UrlCache, check_success, unexpected_status};
use crate::cache::backend::{BackendCapabilities, BackendError, CacheBackend, StoredObject, validate_key};
use crate::cache::http::{HttpClient, HttpRequest, RequestBody};

/// The most bytes of an answer that is no archive.
const MAX_RESPONSE_BYTES: u64 = 1 << 20;

/// The service at one address.
#[derive(Debug)]
pub struct ActionsCacheV2 {
    client: HttpClient,
    base_url: String,
    token: String,
    access: AccessMode,
    url_cache: UrlCache,
}

impl ActionsCacheV2 {
    /// The service at the root of the host of `results`.
    pub fn new(client: HttpClient, results: &str, token: &str, mode: AccessMode) -> Self {
        let (scheme, rest) = results.split_once("://").unwrap_or(("https", results));
        let host = rest.split('/').next().unwrap_or_default();
        let base = format!("{scheme}://{host}/twirp/github.actions.results.api.v1.CacheService/");
        Self { client, base_url: base, token: token.to_owned(), access: mode, url_cache: UrlCache::default() }
    }

    fn call_method(&self, method: &str, body: &Value) -> Result<Value, BackendError> {
        let url = format!("{}{method}", self.base_url);
        let body = body.to_string();
        let headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("authorization".to_owned(), format!("Bearer {}", self.token)),
        ];
        let payload = RequestBody::Bytes(body.as_bytes());
        let answer = self.client.send_with_retries(&HttpRequest {
            method: "POST",
            url: &url,
            headers,
            body: payload,
            max_response_bytes: MAX_RESPONSE_BYTES,
            skip_bytes: 0,
        })?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body).map_err(|error| invalid_json_error(&answer, &error)),
            401 | 403 => {
                let why = format!("{} ({})", answer.body_summary(), answer.status);
                self.client.retry_budget().give_up(&format!("refused: {why}"));
                Err(BackendError::Refused(why))
            }
            // Twirp's word for what is not there.
            404 => Ok(json!({ "ok": false })),
            _ => Err(unexpected_status(&answer)),
        }
    }

    /// The entry of this key, or the newest whose key begins so, and where it lies.
    fn find_entry(&self, key: &str, prefix: bool) -> Result<Option<(String, String)>, BackendError> {
        validate_key(key)?;
        let restore: &[&str] = if prefix { &[key] } else { &[] };
        let body = json!({ "key": key, "restore_keys": restore, "version": cache_version() });
        let answer = self.call_method("GetCacheEntryDownloadURL", &body)?;
        let url = json_field(&answer, "signed_download_url", "signedDownloadUrl").and_then(Value::as_str);
        let (true, Some(url)) = (is_ok_response(&answer), url) else { return Ok(None) };
        let matched = json_field(&answer, "matched_key", "matchedKey").and_then(Value::as_str).unwrap_or(key);
        Ok(Some((matched.to_ascii_lowercase(), url.to_owned())))
    }

    /// Sends bytes to a signed address: in one piece, or in blocks of which a list is sent last.
    fn upload_blob(&self, url: &str, payload: RequestBody<'_>) -> Result<(), BackendError> {
        let put = |url: &str, headers: &[(&str, &str)], payload: RequestBody<'_>| {
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            check_success(&self.client.send_with_retries(&HttpRequest {
                method: "PUT",
                url,
                headers,
                body: payload,
                max_response_bytes: MAX_RESPONSE_BYTES,
                skip_bytes: 0,
            })?)
        };
        if payload.len() <= UPLOAD_CHUNK_BYTES {
            return put(url, &[("x-ms-blob-type", "BlockBlob"), ("content-type", "application/octet-stream")], payload);
        }
        let mut list = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>".to_owned();
        let (mut from, mut number) = (0, 0_u32);
        while from < payload.len() {
            let len = UPLOAD_CHUNK_BYTES.min(payload.len() - from);
            // Must be base64, all of one length: eight hexadecimal digits are, and stand for themselves in a URL.
            let id = format!("{number:08x}");
            put(&format!("{url}&comp=block&blockid={id}"), &[], payload.slice_range(from, len))?;
            list.push_str(&format!("<Latest>{id}</Latest>"));
            (from, number) = (from + len, number + 1);
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
        "the forge's cache (v2)".to_owned()
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

    fn put_object(&self, key: &str, payload: RequestBody<'_>) -> Result<(), BackendError> {
        self.access.check_write()?;
        validate_key(key)?;
        let created = self.call_method("CreateCacheEntry", &json!({ "key": key, "version": cache_version() }))?;
        let url = json_field(&created, "signed_upload_url", "signedUploadUrl").and_then(Value::as_str);
        let (true, Some(url)) = (is_ok_response(&created), url) else {
            let message = created.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
            // Entries never change: one that is there has our bytes, since keys name content.
            let denied = message.contains("denied") || message.contains("insufficient");
            return if denied { Err(BackendError::Refused(message)) } else { Ok(()) };
        };
        self.upload_blob(url, payload)?;
        let size = payload.len().to_string();
        let body = json!({ "key": key, "size_bytes": size, "version": cache_version() });
        let done = self.call_method("FinalizeCacheEntryUpload", &body)?;
        let message = || done.get("message").and_then(Value::as_str).unwrap_or("it is not finished").to_owned();
        if is_ok_response(&done) { Ok(()) } else { Err(BackendError::Refused(message())) }
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
        Err(BackendError::Unsupported("the forge's cache removes entries itself"))
    }
}

/// A field by its name in the definition, or as JSON likes it.
fn json_field<'a>(answer: &'a Value, snake: &str, camel: &str) -> Option<&'a Value> {
    answer.get(snake).or_else(|| answer.get(camel))
}

fn is_ok_response(answer: &Value) -> bool {
    answer.get("ok").and_then(Value::as_bool).unwrap_or(false)
}
