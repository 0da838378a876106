//! A blocking HTTP client with timeouts, size limits, and retries after transient failures.

use super::request_body::{BodyReader, RequestBody};
use super::retry_budget::RetryBudget;
use crate::text::shorten_text;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use ureq::http;
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};
use ureq::{Agent, SendBody};

/// Time granted to a transfer in addition to that at the minimum rate.
const BASE_TRANSFER_TIMEOUT: Duration = Duration::from_secs(4);
/// Minimum transfer rate in bytes per second: a slower cache would save no time.
const MIN_BYTES_PER_SECOND: u64 = 512 * 1024;
/// Timeout for the response headers.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(8);
/// A response within this time does not count as waiting for the service.
const USUAL_DELAY: Duration = Duration::from_secs(1);
/// Maximum number of attempts for one request.
const MAX_ATTEMPTS: u32 = 3;
/// Longest part of an answer in a message, in characters.
const MAX_SUMMARY_CHARS: usize = 160;
/// First pause between attempts; it doubles each time.
const INITIAL_BACKOFF: Duration = Duration::from_millis(250);

/// An HTTP request.
#[derive(Debug)]
pub(crate) struct HttpRequest<'a> {
    /// Method, such as `GET`.
    pub(crate) method: &'static str,
    /// URL.
    pub(crate) url: &'a str,
    /// Headers.
    pub(crate) headers: Vec<(String, String)>,
    /// Body.
    pub(crate) body: RequestBody<'a>,
    /// Maximum number of bytes to read from the response body.
    pub(crate) max_response_bytes: u64,
    /// Number of bytes to skip if a server ignores the range and sends the whole object.
    pub(crate) skip_bytes: u64,
}

/// An HTTP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpResponse {
    /// Status code.
    pub(crate) status: u16,
    /// Headers with names in lower case.
    headers: Vec<(String, String)>,
    /// Body, up to the requested length.
    pub(crate) body: Vec<u8>,
    /// Whether the body was longer than requested.
    pub(crate) truncated: bool,
}

impl HttpResponse {
    /// Returns the value of a header.
    pub(crate) fn header_value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the first line of the body, shortened, for use in messages.
    pub(crate) fn body_summary(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let line: String = text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
        shorten_text(&line, MAX_SUMMARY_CHARS)
    }

    /// Returns the length of the whole object, from `Content-Range`.
    pub(crate) fn total_length(&self) -> Option<u64> {
        self.header_value("content-range")?.rsplit('/').next()?.parse().ok()
    }
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The service is no longer used in this run.
    #[error("{0}")]
    GaveUp(String),
    /// The connection failed or timed out.
    #[error("{host}: {reason}")]
    Connection {
        /// Host.
        host: String,
        /// Error message.
        reason: String,
    },
    /// The server failed in all attempts.
    #[error("{host} answered {status}{message}")]
    Server {
        /// Host.
        host: String,
        /// Status code of the last response.
        status: u16,
        /// First line of its body after a colon, or empty.
        message: String,
    },
    /// The file to upload cannot be read.
    #[error("{0}")]
    ReadBody(io::Error),
}

/// An HTTP client with a retry budget.
#[derive(Debug)]
pub struct HttpClient {
    agent: Agent,
    retry_budget: RetryBudget,
}

impl HttpClient {
    /// Creates a client that stops sending requests when the budget is exhausted.
    pub fn new(retry_budget: RetryBudget) -> Self {
        let custom_bundle = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
        let tls = ureq::tls::TlsConfig::builder().root_certs(load_root_certs(custom_bundle)).build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .user_agent(concat!("noxide/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .timeout_resolve(Some(Duration::from_secs(5)))
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_recv_response(Some(RESPONSE_TIMEOUT))
            .timeout_per_read(Some(Duration::from_secs(6)))
            .timeout_per_write(Some(Duration::from_secs(6)))
            .build();
        Self { agent: agent.into(), retry_budget }
    }

    /// Returns the retry budget.
    pub(crate) fn retry_budget(&self) -> &RetryBudget {
        &self.retry_budget
    }

    /// Sends a request, and retries on 429 (after `Retry-After`), 5xx and connection errors.
    ///
    /// Requests must be idempotent, because they may be sent twice.
    ///
    /// # Errors
    /// If there is no response, or the server fails in all attempts.
    pub(crate) fn send_with_retries(&self, request: &HttpRequest<'_>) -> Result<HttpResponse, HttpError> {
        let host = url_host(request.url);
        let mut backoff = INITIAL_BACKOFF;
        for attempt in 1.. {
            let Some(remaining) = self.retry_budget.remaining() else { return Err(self.gave_up_error()) };
            let started = Instant::now();
            let (delay, reason) = match self.send_once(request, attempt, remaining) {
                // 501: the server does not know the request; repeating it does not help.
                Ok(response) if response.status == 429 || (response.status >= 500 && response.status != 501) => {
                    let message = Some(response.body_summary()).filter(|message| !message.is_empty());
                    let message = message.map(|message| format!(": {message}")).unwrap_or_default();
                    let reason = format!("{host} answered {}{message}", response.status);
                    self.retry_budget.record_failure(started.elapsed(), &reason);
                    if attempt >= MAX_ATTEMPTS {
                        return Err(HttpError::Server { host, status: response.status, message });
                    }
                    (response.header_value("retry-after").and_then(parse_retry_after).unwrap_or(backoff), reason)
                }
                Ok(response) => {
                    let transferred = request.body.len().saturating_add(response.body.len() as u64);
                    let usual = USUAL_DELAY + Duration::from_secs(transferred / MIN_BYTES_PER_SECOND);
                    self.retry_budget
                        .record_success(started.elapsed().saturating_sub(usual), &format!("{host} is slow"));
                    return Ok(response);
                }
                Err(AttemptError::ReadBody(error)) => return Err(HttpError::ReadBody(error)),
                Err(AttemptError::Connection(reason)) => {
                    self.retry_budget.record_failure(started.elapsed(), &format!("{host}: {reason}"));
                    if attempt >= MAX_ATTEMPTS {
                        return Err(HttpError::Connection { host, reason });
                    }
                    (backoff, format!("{host}: {reason}"))
                }
            };
            if !self.retry_budget.try_sleep(delay, &reason) {
                return Err(self.gave_up_error());
            }
            backoff *= 2;
        }
        Err(self.gave_up_error())
    }

    fn gave_up_error(&self) -> HttpError {
        HttpError::GaveUp(
            self.retry_budget.gave_up_reason().unwrap_or_else(|| "the retry budget is exhausted".to_owned()),
        )
    }

    fn send_once(
        &self,
        request: &HttpRequest<'_>,
        attempt: u32,
        remaining: Duration,
    ) -> Result<HttpResponse, AttemptError> {
        let limit = |bytes: u64| (BASE_TRANSFER_TIMEOUT + transfer_time(bytes)).min(remaining);
        let mut builder = http::Request::builder().method(request.method).uri(request.url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let timeouts = AttemptTimeouts {
            send_body: upload_limit(request.body.len(), attempt, remaining),
            response: RESPONSE_TIMEOUT.min(remaining),
            receive_body: limit(request.max_response_bytes.saturating_add(request.skip_bytes)),
        };
        let response = if matches!(request.body, RequestBody::None) {
            self.run_request(builder, SendBody::none(), timeouts)
        } else {
            builder = builder.header("content-length", request.body.len());
            let mut body_reader = BodyReader::new(request.body);
            let response = self.run_request(builder, SendBody::from_reader(&mut body_reader), timeouts);
            match body_reader.read_error {
                Some(error) => Err(AttemptError::ReadBody(error)),
                None => response,
            }
        };
        read_response(response?, request)
    }

    fn run_request(
        &self,
        builder: http::request::Builder,
        body: SendBody<'_>,
        timeouts: AttemptTimeouts,
    ) -> Result<http::Response<ureq::Body>, AttemptError> {
        let sent = builder.body(body).map_err(|error| AttemptError::Connection(error.to_string()))?;
        // Credentials go to no other host than the configured one.
        let has_credentials = |name: &str| sent.headers().contains_key(name);
        let max_redirects =
            if ["authorization", "x-amz-security-token"].into_iter().any(has_credentials) { 0 } else { 4 };
        let configured = self
            .agent
            .configure_request(sent)
            .max_redirects(max_redirects)
            .timeout_send_body(Some(timeouts.send_body))
            .timeout_recv_response(Some(timeouts.response))
            .timeout_recv_body(Some(timeouts.receive_body))
            .build();
        self.agent.run(configured).map_err(|error| AttemptError::Connection(describe_error(&error)))
    }
}

/// Returns the time that a transfer takes at the minimum rate.
fn transfer_time(bytes: u64) -> Duration {
    Duration::from_secs(bytes / MIN_BYTES_PER_SECOND)
}

/// Returns how long an attempt may send a body. The first is not limited by the rest of the budget: an upload at the minimum
/// rate is not cut off.
fn upload_limit(bytes: u64, attempt: u32, remaining: Duration) -> Duration {
    let limit = BASE_TRANSFER_TIMEOUT + transfer_time(bytes);
    if attempt == 1 { limit } else { limit.min(remaining) }
}

/// Timeouts of the parts of one attempt.
#[derive(Clone, Copy)]
struct AttemptTimeouts {
    send_body: Duration,
    response: Duration,
    receive_body: Duration,
}

/// Why an attempt has no response.
enum AttemptError {
    Connection(String),
    ReadBody(io::Error),
}

fn read_response(
    response: http::Response<ureq::Body>,
    request: &HttpRequest<'_>,
) -> Result<HttpResponse, AttemptError> {
    let status = response.status().as_u16();
    let headers = response.headers().iter();
    let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let headers: Vec<(String, String)> = headers.filter_map(text).collect();
    let mut reader = response.into_body().into_with_config().limit(u64::MAX).reader();
    let failed = |error: io::Error| AttemptError::Connection(format!("the response ended early: {error}"));
    let is_whole_object = status == 200 && !headers.iter().any(|(name, _)| name == "content-range");
    if is_whole_object && request.skip_bytes > 0 {
        io::copy(&mut (&mut reader).take(request.skip_bytes), &mut io::sink()).map_err(failed)?;
    }
    let mut body = Vec::new();
    // An error message may be longer than the requested range.
    let max_bytes =
        if (200..300).contains(&status) { request.max_response_bytes } else { request.max_response_bytes.max(4096) };
    (&mut reader).take(max_bytes).read_to_end(&mut body).map_err(failed)?;
    let truncated = body.len() as u64 == max_bytes && reader.read(&mut [0]).map_err(failed)? > 0;
    Ok(HttpResponse { status, headers, body, truncated })
}

fn url_host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    // User information before the host may contain a password.
    host.rsplit('@').next().unwrap_or_default().to_owned()
}

/// Describes an error without the URL, which may contain a signature.
fn describe_error(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "timed out".to_owned(),
        ureq::Error::HostNotFound => "host not found".to_owned(),
        ureq::Error::BadUri(_) => "invalid URL".to_owned(),
        other => other.to_string(),
    }
}

/// Parses `Retry-After`, in seconds or as a date.
fn parse_retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?;
    let remaining = date.timestamp().as_second() - jiff::Timestamp::now().as_second();
    Some(Duration::from_secs(u64::try_from(remaining).unwrap_or(0)))
}

/// CA bundles of operating systems.
const SYSTEM_CA_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Loads the certificates in `SSL_CERT_FILE`, else those of the system, else the built-in ones of Mozilla.
pub(super) fn load_root_certs(custom_bundle: Option<PathBuf>) -> RootCerts {
    let system = SYSTEM_CA_BUNDLES.iter().map(PathBuf::from);
    let read = |path: PathBuf| {
        let text = fs_err::read(path).ok()?;
        let certificate = |item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        };
        let found: Vec<Certificate<'static>> = parse_pem(&text).filter_map(certificate).collect();
        (!found.is_empty()).then_some(found)
    };
    let found = custom_bundle.into_iter().chain(system).find_map(read);
    found.map_or(RootCerts::WebPki, |found| RootCerts::new_with_certs(&found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_parsed_in_seconds_and_as_a_date() {
        assert_eq!(parse_retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("soon"), None);
    }

    #[test]
    fn only_the_first_attempt_of_an_upload_may_take_longer_than_the_budget() {
        let (bytes, seconds) = (8 << 20, Duration::from_secs);
        assert_eq!(upload_limit(bytes, 1, seconds(10)), seconds(20));
        assert_eq!(upload_limit(bytes, 2, seconds(10)), seconds(10));
        assert_eq!(upload_limit(bytes, 2, seconds(30)), seconds(20));
    }

    #[test]
    fn hosts_are_shown_without_credentials() {
        assert_eq!(url_host("https://me:secret@cache.example.org:81/a?sig=b"), "cache.example.org:81");
        assert_eq!(url_host("odd"), "odd");
    }

    #[test]
    fn a_file_without_certificates_is_ignored() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let has_system_bundle = SYSTEM_CA_BUNDLES.iter().any(|bundle| std::path::Path::new(bundle).exists());
        let loaded = load_root_certs(Some(file.path().to_path_buf()));
        assert_eq!(matches!(loaded, RootCerts::Specific(_)), has_system_bundle);
    }
}
