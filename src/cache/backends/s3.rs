//! An S3-compatible object store as a backend.

use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};

use quick_xml::Reader;
use quick_xml::events::Event;
use sha2::{Digest, Sha256};

use super::ranged_read::{check_success, into_range_bytes, unexpected_status};
use super::sigv4::{S3Credentials, SigningRequest, canonical_query, percent_encode};
use crate::cache::backend::{
    BackendCapabilities, BackendError, CacheBackend, StoredObject, is_valid_key, validate_key,
};
use crate::cache::http::{HttpClient, HttpRequest, HttpResponse, RequestBody};
use crate::text::{encode_hex, shorten_text, to_single_line};

/// Maximum size of a list or an error response, in bytes.
const MAX_RESPONSE_BYTES: u64 = 16 << 20;
/// Maximum number of pages of a list, each with a thousand objects: guards against an endless list.
const MAX_LIST_PAGES: usize = 200;

/// Maximum number of listed objects; a page may have more than a thousand if the server is not what it seems.
const MAX_LISTED_OBJECTS: usize = 200_000;

/// Location of the objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Location {
    /// URL of the service, such as `https://s3.example.org`.
    pub endpoint: String,
    /// Name of the bucket.
    pub bucket: String,
    /// Prefix of all keys; empty, or without a slash at its end.
    pub prefix: String,
}

/// A bucket, or the objects in it that have a common prefix.
#[derive(Debug)]
pub struct S3Backend {
    client: HttpClient,
    location: S3Location,
    credentials: S3Credentials,
    /// Seconds by which the server's clock is ahead, determined from its responses.
    clock_offset: AtomicI64,
}

impl S3Backend {
    /// Uses a bucket with path-style URLs, which every server supports.
    pub fn new(client: HttpClient, location: S3Location, credentials: S3Credentials) -> Self {
        Self { client, location, credentials, clock_offset: AtomicI64::new(0) }
    }

    fn object_key(&self, key: &str) -> Result<String, BackendError> {
        validate_key(key)?;
        Ok(if self.location.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.location.prefix) })
    }

    /// Sends a signed request and reads `range` of the response; if the clocks differ, retries with the server's time.
    fn send_request(
        &self,
        method: &'static str,
        key: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: RequestBody<'_>,
        response_range: Range<u64>,
    ) -> Result<HttpResponse, BackendError> {
        let mut response = self.send_signed(method, key, query, headers, body, response_range.clone())?;
        let date = response.header_value("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        if let Some(date) = date.filter(|_| has_clock_difference(&response)) {
            let ahead = date.timestamp().as_second() - jiff::Timestamp::now().as_second();
            self.clock_offset.store(ahead, Ordering::Relaxed);
            response = self.send_signed(method, key, query, headers, body, response_range)?;
        }
        if !matches!(response.status, 401 | 403) {
            return Ok(response);
        }
        let reason = if has_clock_difference(&response) {
            "the clock of this machine differs from the clock of the server; set it".to_owned()
        } else {
            let code = xml_element_text(&response.body, b"Code").unwrap_or_else(|| response.body_summary());
            format!("{code} ({})", response.status)
        };
        self.client.retry_budget().give_up(&format!("refused: {reason}"));
        Err(BackendError::Refused(reason))
    }

    fn send_signed(
        &self,
        method: &'static str,
        key: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: RequestBody<'_>,
        response_range: Range<u64>,
    ) -> Result<HttpResponse, BackendError> {
        let path =
            percent_encode(&format!("/{}{}{key}", self.location.bucket, if key.is_empty() { "" } else { "/" }), true);
        let endpoint = self.location.endpoint.trim_end_matches('/');
        let host = endpoint.split_once("://").map_or(endpoint, |(_, host)| host);
        let now = jiff::Timestamp::now();
        let seconds = now.as_second().saturating_add(self.clock_offset.load(Ordering::Relaxed));
        let time = jiff::Timestamp::from_second(seconds).unwrap_or(now).strftime("%Y%m%dT%H%M%SZ").to_string();
        let digest = match body {
            RequestBody::None => encode_hex(&Sha256::digest(b"")),
            RequestBody::Bytes(bytes) => encode_hex(&Sha256::digest(bytes)),
            // The digest of a pack is checked when it is read.
            RequestBody::File { .. } => "UNSIGNED-PAYLOAD".to_owned(),
        };
        let request =
            SigningRequest { method, host, path: &path, query, headers, payload_digest: &digest, timestamp: &time };
        let signed_headers = self.credentials.sign_request(&request);
        let query = canonical_query(query);
        let url = format!("{endpoint}{path}{}{query}", if query.is_empty() { "" } else { "?" });
        let (max_bytes, skip_bytes) = (response_range.end.saturating_sub(response_range.start), response_range.start);
        Ok(self.client.send_with_retries(&HttpRequest {
            method,
            url: &url,
            headers: signed_headers,
            body,
            max_response_bytes: max_bytes,
            skip_bytes,
        })?)
    }
}

impl CacheBackend for S3Backend {
    fn display_name(&self) -> String {
        format!("s3://{}/{}", self.location.bucket, self.location.prefix)
    }

    fn capabilities(&self) -> BackendCapabilities {
        BackendCapabilities { can_read: true, can_write: true, lists_all: true, can_delete: true }
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, BackendError> {
        let key = self.object_key(key)?;
        if range.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let bytes = format!("bytes={}-{}", range.start, range.end - 1);
        let response = self.send_request("GET", &key, &[], &[("range", &bytes)], RequestBody::None, range.clone())?;
        match response.status {
            404 => Ok(None),
            _ => into_range_bytes(response, &range).map(Some),
        }
    }

    fn put_object(&self, key: &str, body: RequestBody<'_>) -> Result<(), BackendError> {
        let key = self.object_key(key)?;
        // An existing object has the same content. A server without conditional requests answers 501: it may overwrite.
        let response = self.send_request("PUT", &key, &[], &[("if-none-match", "*")], body, 0..MAX_RESPONSE_BYTES)?;
        match response.status {
            409 | 412 => Ok(()),
            501 => check_success(&self.send_request("PUT", &key, &[], &[], body, 0..MAX_RESPONSE_BYTES)?),
            _ => check_success(&response),
        }
    }

    fn list_objects(&self, prefix: &str) -> Result<Vec<StoredObject>, BackendError> {
        let full_prefix = if self.location.prefix.is_empty() {
            prefix.to_owned()
        } else {
            format!("{}/{prefix}", self.location.prefix)
        };
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..MAX_LIST_PAGES {
            let mut query = vec![("list-type", "2"), ("prefix", full_prefix.as_str())];
            query.extend(token.as_deref().map(|token| ("continuation-token", token)));
            let response = self.send_request("GET", "", &query, &[], RequestBody::None, 0..MAX_RESPONSE_BYTES)?;
            if response.status == 404 {
                break;
            }
            if response.status != 200 {
                return Err(unexpected_status(&response));
            }
            let page = ListPage::parse_xml(&response.body)?;
            found.extend(page.objects);
            token = page.next_token;
            if token.is_none() || found.len() > MAX_LISTED_OBJECTS {
                break;
            }
        }
        let prefix_len = if self.location.prefix.is_empty() { 0 } else { self.location.prefix.len() + 1 };
        let to_own_key = |mut object: StoredObject| {
            let key =
                object.key.get(prefix_len..).filter(|key| key.starts_with(prefix) && is_valid_key(key))?.to_owned();
            object.key = key;
            Some(object)
        };
        let mut found: Vec<StoredObject> = found.into_iter().filter_map(to_own_key).collect();
        found.sort_by(|one, other| (other.written_at, &other.key).cmp(&(one.written_at, &one.key)));
        Ok(found)
    }

    fn delete_object(&self, key: &str) -> Result<(), BackendError> {
        let key = self.object_key(key)?;
        let response = self.send_request("DELETE", &key, &[], &[], RequestBody::None, 0..MAX_RESPONSE_BYTES)?;
        if response.status == 404 { Ok(()) } else { check_success(&response) }
    }
}

/// A page of a list.
#[derive(Default)]
struct ListPage {
    objects: Vec<StoredObject>,
    next_token: Option<String>,
}

impl ListPage {
    fn parse_xml(xml: &[u8]) -> Result<Self, BackendError> {
        let malformed = |reason: String| BackendError::UnexpectedResponse(format!("malformed list: {reason}"));
        let mut reader = Reader::from_reader(xml);
        let mut page = Self::default();
        let (mut path, mut text): (Vec<Vec<u8>>, String) = (Vec::new(), String::new());
        let mut object = StoredObject { key: String::new(), written_at: None };
        loop {
            match reader.read_event().map_err(|error| malformed(error.to_string()))? {
                Event::Start(start) => {
                    path.push(start.local_name().as_ref().to_vec());
                    text.clear();
                }
                Event::Text(part) => text.push_str(&part.decode().map_err(|error| malformed(error.to_string()))?),
                Event::GeneralRef(part) => {
                    let name = part.decode().map_err(|error| malformed(error.to_string()))?;
                    let known = [("amp", "&"), ("lt", "<"), ("gt", ">"), ("quot", "\""), ("apos", "'")];
                    let plain = known.iter().find(|(known, _)| *known == name).map(|(_, plain)| *plain);
                    text.push_str(plain.ok_or_else(|| malformed(format!("unknown entity {name}")))?);
                }
                Event::End(_) => {
                    let ended = path.pop().unwrap_or_default();
                    let in_object = path.last().is_some_and(|parent| parent == b"Contents");
                    match (ended.as_slice(), in_object) {
                        (b"Key", true) => object.key.clone_from(&text),
                        (b"LastModified", true) => {
                            object.written_at = text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
                        }
                        (b"Contents", _) => {
                            let empty = StoredObject { key: String::new(), written_at: None };
                            page.objects.push(std::mem::replace(&mut object, empty));
                        }
                        (b"NextContinuationToken", false) => page.next_token = Some(text.clone()),
                        _ => {}
                    }
                    text.clear();
                }
                Event::Eof => return Ok(page),
                _ => {}
            }
        }
    }
}

/// Returns the text of the first element with this name.
fn xml_element_text(xml: &[u8], name: &[u8]) -> Option<String> {
    let mut reader = Reader::from_reader(xml);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if start.local_name().as_ref() == name => {
                let Event::Text(text) = reader.read_event().ok()? else { return None };
                return text.decode().ok().map(|text| shorten_text(&to_single_line(&text), 160));
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// Whether the server refused a request because of its time.
fn has_clock_difference(response: &HttpResponse) -> bool {
    response.status == 403 && String::from_utf8_lossy(&response.body).contains("RequestTimeTooSkewed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_real_servers_are_parsed() {
        let xml = br#"<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>
            <Contents><Key>p/a&amp;b</Key><LastModified>2026-11-25T10:00:00.000Z</LastModified><Size>3</Size></Contents>
            <Contents><Key>p/c</Key></Contents><NextContinuationToken>t&quot;</NextContinuationToken></ListBucketResult>"#;
        let page = ListPage::parse_xml(xml).unwrap();
        assert_eq!(page.objects[0], StoredObject { key: "p/a&b".to_owned(), written_at: Some(1_795_600_800) });
        assert_eq!((page.objects[1].key.as_str(), page.objects[1].written_at), ("p/c", None));
        assert_eq!(page.next_token.as_deref(), Some("t\""));
        assert!(ListPage::parse_xml(b"<a><b></a>").is_err() && ListPage::parse_xml(b"<a>&odd;</a>").is_err());
        assert_eq!(
            xml_element_text(b"<Error><Code>AccessDenied</Code></Error>", b"Code").as_deref(),
            Some("AccessDenied")
        );
        assert_eq!(xml_element_text(b"<Error></Error>", b"Code"), None);
    }
}
