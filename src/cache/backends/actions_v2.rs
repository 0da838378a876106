//! The Actions cache service, version 2: GitHub. Twirp with JSON for the talk, signed addresses of a blob store for the
//! bytes. What is known of it is the official client's code (6.3.0).

use std::ops::Range;

use serde_json::{Value, json};

use super::actions_v1::{CHUNK, not_understood, version};
use super::mode::Mode;
use super::places::{Places, taken, unexpected};
use crate::cache::backend::{Abilities, Backend, BackendError, Object, check_key};
use crate::cache::http::{Client, Payload, Request};

/// The most bytes of an answer that is no archive.
const ANSWER: u64 = 1 << 20;

/// The service at one address.
#[derive(Debug)]
pub struct ActionsV2 {
    client: Client,
    base: String,
    token: String,
    mode: Mode,
    places: Places,
}

impl ActionsV2 {
    /// The service at the root of the host of `results`.
    pub fn new(client: Client, results: &str, token: &str, mode: Mode) -> Self {
        let (scheme, rest) = results.split_once("://").unwrap_or(("https", results));
        let host = rest.split('/').next().unwrap_or_default();
        let base = format!("{scheme}://{host}/twirp/github.actions.results.api.v1.CacheService/");
        Self { client, base, token: token.to_owned(), mode, places: Places::default() }
    }

    fn call(&self, method: &str, body: &Value) -> Result<Value, BackendError> {
        let url = format!("{}{method}", self.base);
        let body = body.to_string();
        let headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("authorization".to_owned(), format!("Bearer {}", self.token)),
        ];
        let payload = Payload::Bytes(body.as_bytes());
        let answer =
            self.client.send(&Request { method: "POST", url: &url, headers, payload, most: ANSWER, skip: 0 })?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body).map_err(|error| not_understood(&answer, &error)),
            401 | 403 => {
                let why = format!("{} ({})", answer.said(), answer.status);
                self.client.patience().give_up(&format!("refused: {why}"));
                Err(BackendError::Refused(why))
            }
            // Twirp's word for what is not there.
            404 => Ok(json!({ "ok": false })),
            _ => Err(unexpected(&answer)),
        }
    }

    /// The entry of this key, or the newest whose key begins so, and where it lies.
    fn find(&self, key: &str, prefix: bool) -> Result<Option<(String, String)>, BackendError> {
        check_key(key)?;
        let restore: &[&str] = if prefix { &[key] } else { &[] };
        let body = json!({ "key": key, "restore_keys": restore, "version": version() });
        let answer = self.call("GetCacheEntryDownloadURL", &body)?;
        let url = field(&answer, "signed_download_url", "signedDownloadUrl").and_then(Value::as_str);
        let (true, Some(url)) = (is_ok(&answer), url) else { return Ok(None) };
        let matched = field(&answer, "matched_key", "matchedKey").and_then(Value::as_str).unwrap_or(key);
        Ok(Some((matched.to_ascii_lowercase(), url.to_owned())))
    }

    /// Sends bytes to a signed address: in one piece, or in blocks of which a list is sent last.
    fn upload(&self, url: &str, payload: Payload<'_>) -> Result<(), BackendError> {
        let put = |url: &str, headers: &[(&str, &str)], payload: Payload<'_>| {
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            taken(&self.client.send(&Request { method: "PUT", url, headers, payload, most: ANSWER, skip: 0 })?)
        };
        if payload.len() <= CHUNK {
            return put(url, &[("x-ms-blob-type", "BlockBlob"), ("content-type", "application/octet-stream")], payload);
        }
        let mut list = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>".to_owned();
        let (mut from, mut number) = (0, 0_u32);
        while from < payload.len() {
            let len = CHUNK.min(payload.len() - from);
            // Must be base64, all of one length: eight hexadecimal digits are, and stand for themselves in a URL.
            let id = format!("{number:08x}");
            put(&format!("{url}&comp=block&blockid={id}"), &[], payload.part(from, len))?;
            list.push_str(&format!("<Latest>{id}</Latest>"));
            (from, number) = (from + len, number + 1);
        }
        list.push_str("</BlockList>");
        put(&format!("{url}&comp=blocklist"), &[("content-type", "application/xml")], Payload::Bytes(list.as_bytes()))
    }
}

impl Backend for ActionsV2 {
    fn title(&self) -> String {
        "the forge's cache (v2)".to_owned()
    }

    fn abilities(&self) -> Abilities {
        Abilities { reads: self.mode.reads(), writes: self.mode.writes(), lists: false, deletes: false }
    }

    fn get(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, BackendError> {
        self.mode.check_read()?;
        self.places.read(&self.client, key, range, &|| self.find(key, false))
    }

    fn put(&self, key: &str, payload: Payload<'_>) -> Result<(), BackendError> {
        self.mode.check_write()?;
        check_key(key)?;
        let created = self.call("CreateCacheEntry", &json!({ "key": key, "version": version() }))?;
        let url = field(&created, "signed_upload_url", "signedUploadUrl").and_then(Value::as_str);
        let (true, Some(url)) = (is_ok(&created), url) else {
            let message = created.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
            // Entries never change: one that is there has our bytes, since keys name content.
            let denied = message.contains("denied") || message.contains("insufficient");
            return if denied { Err(BackendError::Refused(message)) } else { Ok(()) };
        };
        self.upload(url, payload)?;
        let size = payload.len().to_string();
        let body = json!({ "key": key, "size_bytes": size, "version": version() });
        let done = self.call("FinalizeCacheEntryUpload", &body)?;
        let message = || done.get("message").and_then(Value::as_str).unwrap_or("it is not finished").to_owned();
        if is_ok(&done) { Ok(()) } else { Err(BackendError::Refused(message())) }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>, BackendError> {
        self.mode.check_read()?;
        let Some((key, url)) = self.find(prefix, true)? else { return Ok(Vec::new()) };
        if !key.starts_with(prefix) {
            return Ok(Vec::new());
        }
        self.places.remember(&key, &url);
        Ok(vec![Object { key, time: None }])
    }

    fn delete(&self, _: &str) -> Result<(), BackendError> {
        Err(BackendError::Mode("the forge's cache removes entries itself"))
    }
}

/// A field by its name in the definition, or as JSON likes it.
fn field<'a>(answer: &'a Value, snake: &str, camel: &str) -> Option<&'a Value> {
    answer.get(snake).or_else(|| answer.get(camel))
}

fn is_ok(answer: &Value) -> bool {
    answer.get("ok").and_then(Value::as_bool).unwrap_or(false)
}
