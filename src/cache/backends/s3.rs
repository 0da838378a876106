//! An S3-compatible store as a backend.

use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};

use quick_xml::Reader;
use quick_xml::events::Event;
use sha2::{Digest, Sha256};

use super::places::{part_of, taken, unexpected};
use super::signature::{Credentials, Signed, encoded, hex, query_string};
use crate::cache::backend::{Abilities, Backend, BackendError, Object, check_key, is_key};
use crate::cache::http::{Answer, Client, Payload, Request};

/// The most bytes of a list or a message.
const ANSWER: u64 = 16 << 20;
/// Pages of a list, each of a thousand objects, before somebody is taken to play a trick.
const PAGES: usize = 200;

/// Where the objects lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Place {
    /// The service, such as `https://s3.example.org`.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// What all keys begin with; empty or without a slash at its end.
    pub prefix: String,
}

/// A bucket, or a part of one.
#[derive(Debug)]
pub struct S3 {
    client: Client,
    place: S3Place,
    credentials: Credentials,
    /// Seconds that the server's clock is ahead of ours; learnt when it says so.
    ahead: AtomicI64,
}

impl S3 {
    /// A bucket at an endpoint; its name stands in the path, which every server takes.
    pub fn new(client: Client, place: S3Place, credentials: Credentials) -> Self {
        Self { client, place, credentials, ahead: AtomicI64::new(0) }
    }

    fn key(&self, key: &str) -> Result<String, BackendError> {
        check_key(key)?;
        Ok(if self.place.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.place.prefix) })
    }

    /// Sends a signed request, of whose answer `room` is wanted; once more with the server's time where the clocks differ.
    fn send(
        &self,
        method: &'static str,
        key: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        payload: Payload<'_>,
        room: Range<u64>,
    ) -> Result<Answer, BackendError> {
        for last in [false, true] {
            let answer = self.signed(method, key, query, headers, payload, room.clone())?;
            let skewed = answer.status == 403 && String::from_utf8_lossy(&answer.body).contains("RequestTimeTooSkewed");
            let date = answer.header("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
            match date.filter(|_| skewed && !last) {
                Some(date) => {
                    let ahead = date.timestamp().as_second() - jiff::Timestamp::now().as_second();
                    self.ahead.store(ahead, Ordering::Relaxed);
                }
                None if matches!(answer.status, 401 | 403) => {
                    let code = element(&answer.body, b"Code").unwrap_or_else(|| answer.said());
                    let why = format!("{code} ({})", answer.status);
                    self.client.patience().give_up(&format!("refused: {why}"));
                    return Err(BackendError::Refused(why));
                }
                None => return Ok(answer),
            }
        }
        Err(BackendError::Refused("the clocks differ".to_owned()))
    }

    fn signed(
        &self,
        method: &'static str,
        key: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        payload: Payload<'_>,
        room: Range<u64>,
    ) -> Result<Answer, BackendError> {
        let path = encoded(&format!("/{}{}{key}", self.place.bucket, if key.is_empty() { "" } else { "/" }), true);
        let endpoint = self.place.endpoint.trim_end_matches('/');
        let host = endpoint.split_once("://").map_or(endpoint, |(_, host)| host);
        let now = jiff::Timestamp::now();
        let seconds = now.as_second().saturating_add(self.ahead.load(Ordering::Relaxed));
        let time = jiff::Timestamp::from_second(seconds).unwrap_or(now).strftime("%Y%m%dT%H%M%SZ").to_string();
        let digest = match payload {
            Payload::None => hex(&Sha256::digest(b"")),
            Payload::Bytes(bytes) => hex(&Sha256::digest(bytes)),
            // What is sent is checked by its own digest when it is read back.
            Payload::File { .. } => "UNSIGNED-PAYLOAD".to_owned(),
        };
        let request = Signed { method, host, path: &path, query, headers, payload: &digest, time: &time };
        let signed = self.credentials.sign(&request);
        let query = query_string(query);
        let url = format!("{endpoint}{path}{}{query}", if query.is_empty() { "" } else { "?" });
        let (most, skip) = (room.end.saturating_sub(room.start), room.start);
        Ok(self.client.send(&Request { method, url: &url, headers: signed, payload, most, skip })?)
    }
}

impl Backend for S3 {
    fn title(&self) -> String {
        format!("s3://{}/{}", self.place.bucket, self.place.prefix)
    }

    fn abilities(&self) -> Abilities {
        Abilities { reads: true, writes: true, lists: true, deletes: true }
    }

    fn get(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, BackendError> {
        let key = self.key(key)?;
        if range.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let bytes = format!("bytes={}-{}", range.start, range.end - 1);
        let answer = self.send("GET", &key, &[], &[("range", &bytes)], Payload::None, range.clone())?;
        match answer.status {
            404 => Ok(None),
            _ => part_of(answer, &range).map(Some),
        }
    }

    fn put(&self, key: &str, payload: Payload<'_>) -> Result<(), BackendError> {
        let key = self.key(key)?;
        // Where the server knows conditions, what is there stays; where it does not, the same bytes are written again.
        let answer = self.send("PUT", &key, &[], &[("if-none-match", "*")], payload, 0..ANSWER)?;
        match answer.status {
            409 | 412 => Ok(()),
            501 => taken(&self.send("PUT", &key, &[], &[], payload, 0..ANSWER)?),
            _ => taken(&answer),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>, BackendError> {
        let whole =
            if self.place.prefix.is_empty() { prefix.to_owned() } else { format!("{}/{prefix}", self.place.prefix) };
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES {
            let mut query = vec![("list-type", "2"), ("prefix", whole.as_str())];
            query.extend(token.as_deref().map(|token| ("continuation-token", token)));
            let answer = self.send("GET", "", &query, &[], Payload::None, 0..ANSWER)?;
            if answer.status == 404 {
                break;
            }
            if answer.status != 200 {
                return Err(unexpected(&answer));
            }
            let page = Page::read(&answer.body)?;
            found.extend(page.objects);
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        let strip = if self.place.prefix.is_empty() { 0 } else { self.place.prefix.len() + 1 };
        let ours = |mut object: Object| {
            let key = object.key.get(strip..).filter(|key| key.starts_with(prefix) && is_key(key))?.to_owned();
            object.key = key;
            Some(object)
        };
        let mut found: Vec<Object> = found.into_iter().filter_map(ours).collect();
        found.sort_by(|one, other| (other.time, &other.key).cmp(&(one.time, &one.key)));
        Ok(found)
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        let key = self.key(key)?;
        let answer = self.send("DELETE", &key, &[], &[], Payload::None, 0..ANSWER)?;
        if answer.status == 404 { Ok(()) } else { taken(&answer) }
    }
}

/// One page of a list.
#[derive(Default)]
struct Page {
    objects: Vec<Object>,
    next: Option<String>,
}

impl Page {
    fn read(xml: &[u8]) -> Result<Self, BackendError> {
        let damaged = |why: String| BackendError::Answer(format!("a list: {why}"));
        let mut reader = Reader::from_reader(xml);
        let mut page = Self::default();
        let (mut path, mut text): (Vec<Vec<u8>>, String) = (Vec::new(), String::new());
        let mut object = Object { key: String::new(), time: None };
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
                            object.time = text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
                        }
                        (b"Contents", _) => {
                            let empty = Object { key: String::new(), time: None };
                            page.objects.push(std::mem::replace(&mut object, empty));
                        }
                        (b"NextContinuationToken", false) => page.next = Some(text.clone()),
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
fn element(xml: &[u8], name: &[u8]) -> Option<String> {
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
        let page = Page::read(xml).unwrap();
        assert_eq!(page.objects[0], Object { key: "p/a&b".to_owned(), time: Some(1_795_600_800) });
        assert_eq!((page.objects[1].key.as_str(), page.objects[1].time), ("p/c", None));
        assert_eq!(page.next.as_deref(), Some("t\""));
        assert!(Page::read(b"<a><b></a>").is_err() && Page::read(b"<a>&odd;</a>").is_err());
        assert_eq!(element(b"<Error><Code>AccessDenied</Code></Error>", b"Code").as_deref(), Some("AccessDenied"));
        assert_eq!(element(b"<Error></Error>", b"Code"), None);
    }
}
