//! An S3-compatible store as a backend.

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
use crate::fs::encode_hex;

/// The most bytes of a list or a message.
const MAX_RESPONSE_BYTES: u64 = 16 << 20;
/// Pages of a list, each of a thousand objects, before somebody is taken to play a trick.
const MAX_LIST_PAGES: usize = 200;

/// Where the objects lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Location {
    /// The service, such as `https://s3.example.org`.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// What all keys begin with; empty or without a slash at its end.
    pub prefix: String,
}

/// A bucket, or a part of one.
#[derive(Debug)]
pub struct S3Backend {
    client: HttpClient,
    location: S3Location,
    credentials: S3Credentials,
    /// Seconds that the server's clock is ahead of ours; learnt when it says so.
    clock_offset: AtomicI64,
}

impl S3Backend {
    /// A bucket at an endpoint; its name stands in the path, which every server takes.
    pub fn new(client: HttpClient, place: S3Location, credentials: S3Credentials) -> Self {
        Self { client, location: place, credentials, clock_offset: AtomicI64::new(0) }
    }

    fn object_key(&self, key: &str) -> Result<String, BackendError> {
        validate_key(key)?;
        Ok(if self.location.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.location.prefix) })
    }

    /// Sends a signed request, of whose answer `room` is wanted; once more with the server's time where the clocks differ.
    fn send_request(
        &self,
        method: &'static str,
        key: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        payload: RequestBody<'_>,
        room: Range<u64>,
    ) -> Result<HttpResponse, BackendError> {
        for last in [false, true] {
            let answer = self.send_signed(method, key, query, headers, payload, room.clone())?;
            let skewed = answer.status == 403 && String::from_utf8_lossy(&answer.body).contains("RequestTimeTooSkewed");
            let date = answer.header_value("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
            match date.filter(|_| skewed && !last) {
                Some(date) => {
                    let ahead = date.timestamp().as_second() - jiff::Timestamp::now().as_second();
                    self.clock_offset.store(ahead, Ordering::Relaxed);
                }
                None if matches!(answer.status, 401 | 403) => {
                    let code = xml_element_text(&answer.body, b"Code").unwrap_or_else(|| answer.body_summary());
                    let why = format!("{code} ({})", answer.status);
                    self.client.retry_budget().give_up(&format!("refused: {why}"));
                    return Err(BackendError::Refused(why));
                }
                None => return Ok(answer),
            }
        }
        Err(BackendError::Refused("the clocks differ".to_owned()))
    }

    fn send_signed(
        &self,
        method: &'static str,
        key: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        payload: RequestBody<'_>,
        room: Range<u64>,
    ) -> Result<HttpResponse, BackendError> {
        let path =
            percent_encode(&format!("/{}{}{key}", self.location.bucket, if key.is_empty() { "" } else { "/" }), true);
        let endpoint = self.location.endpoint.trim_end_matches('/');
        let host = endpoint.split_once("://").map_or(endpoint, |(_, host)| host);
        let now = jiff::Timestamp::now();
        let seconds = now.as_second().saturating_add(self.clock_offset.load(Ordering::Relaxed));
        let time = jiff::Timestamp::from_second(seconds).unwrap_or(now).strftime("%Y%m%dT%H%M%SZ").to_string();
        let digest = match payload {
            RequestBody::None => encode_hex(&Sha256::digest(b"")),
            RequestBody::Bytes(bytes) => encode_hex(&Sha256::digest(bytes)),
            // What is sent is checked by its own digest when it is read back.
            RequestBody::File { .. } => "UNSIGNED-PAYLOAD".to_owned(),
        };
        let request =
            SigningRequest { method, host, path: &path, query, headers, payload_digest: &digest, timestamp: &time };
        let signed = self.credentials.sign_request(&request);
        let query = canonical_query(query);
        let url = format!("{endpoint}{path}{}{query}", if query.is_empty() { "" } else { "?" });
        let (most, skip) = (room.end.saturating_sub(room.start), room.start);
        Ok(self.client.send_with_retries(&HttpRequest {
            method,
            url: &url,
            headers: signed,
            body: payload,
            max_response_bytes: most,
            skip_bytes: skip,
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
        let answer = self.send_request("GET", &key, &[], &[("range", &bytes)], RequestBody::None, range.clone())?;
        match answer.status {
            404 => Ok(None),
            _ => into_range_bytes(answer, &range).map(Some),
        }
    }

    fn put_object(&self, key: &str, payload: RequestBody<'_>) -> Result<(), BackendError> {
        let key = self.object_key(key)?;
        // Where the server knows conditions, what is there stays; where it does not, the same bytes are written again.
        let answer = self.send_request("PUT", &key, &[], &[("if-none-match", "*")], payload, 0..MAX_RESPONSE_BYTES)?;
        match answer.status {
            409 | 412 => Ok(()),
            501 => check_success(&self.send_request("PUT", &key, &[], &[], payload, 0..MAX_RESPONSE_BYTES)?),
            _ => check_success(&answer),
        }
    }

    fn list_objects(&self, prefix: &str) -> Result<Vec<StoredObject>, BackendError> {
        let whole = if self.location.prefix.is_empty() {
            prefix.to_owned()
        } else {
            format!("{}/{prefix}", self.location.prefix)
        };
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..MAX_LIST_PAGES {
            let mut query = vec![("list-type", "2"), ("prefix", whole.as_str())];
            query.extend(token.as_deref().map(|token| ("continuation-token", token)));
            let answer = self.send_request("GET", "", &query, &[], RequestBody::None, 0..MAX_RESPONSE_BYTES)?;
            if answer.status == 404 {
                break;
            }
            if answer.status != 200 {
                return Err(unexpected_status(&answer));
            }
            let page = ListPage::parse_xml(&answer.body)?;
            found.extend(page.objects);
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        let strip = if self.location.prefix.is_empty() { 0 } else { self.location.prefix.len() + 1 };
        let ours = |mut object: StoredObject| {
            let key = object.key.get(strip..).filter(|key| key.starts_with(prefix) && is_valid_key(key))?.to_owned();
            object.key = key;
            Some(object)
        };
        let mut found: Vec<StoredObject> = found.into_iter().filter_map(ours).collect();
        found.sort_by(|one, other| (other.written_at, &other.key).cmp(&(one.written_at, &one.key)));
        Ok(found)
    }

    fn delete_object(&self, key: &str) -> Result<(), BackendError> {
        let key = self.object_key(key)?;
        let answer = self.send_request("DELETE", &key, &[], &[], RequestBody::None, 0..MAX_RESPONSE_BYTES)?;
        if answer.status == 404 { Ok(()) } else { check_success(&answer) }
    }
}

/// One page of a list.
#[derive(Default)]
struct ListPage {
    objects: Vec<StoredObject>,
    next_token: Option<String>,
}

impl ListPage {
    fn parse_xml(xml: &[u8]) -> Result<Self, BackendError> {
        let damaged = |why: String| BackendError::UnexpectedResponse(format!("a list: {why}"));
        let mut reader = Reader::from_reader(xml);
        let mut page = Self::default();
        let (mut path, mut text): (Vec<Vec<u8>>, String) = (Vec::new(), String::new());
        let mut object = StoredObject { key: String::new(), written_at: None };
        loop {
            match reader.read_event().map_err(|error| damaged(error.to_string()))? {
                Event::Start(start) => {
                    path.push(start.local_name().as_ref().to_vec());
                    text.clear();
                }
                Event::Text(part) => text.push_str(&part.decode().map_err(|error| damaged(error.to_string()))?),
                Event::GeneralRef(part) => {
                    let name = part.decode().map_err(|error| damaged(error.to_string()))?;
                    let known = [("amp", "&"), ("lt", "<"), ("gt", ">"), ("quot", "\""), ("apos", "'")];
                    let plain = known.iter().find(|(known, _)| *known == name).map(|(_, plain)| *plain);
                    text.push_str(plain.ok_or_else(|| damaged(format!("unknown entity {name}")))?);
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

/// The text of the first element of that name.
fn xml_element_text(xml: &[u8], name: &[u8]) -> Option<String> {
    let mut reader = Reader::from_reader(xml);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if start.local_name().as_ref() == name => {
                let Event::Text(text) = reader.read_event().ok()? else { return None };
                return text.decode().ok().map(std::borrow::Cow::into_owned);
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_as_servers_write_them() {
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
