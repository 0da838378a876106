//! HTTP requests with bounded time and size, and retries where they can help.

use super::request_body::{BodyReader, RequestBody};
use super::retry_budget::RetryBudget;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use ureq::http;
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};
use ureq::{Agent, SendBody};

/// The least that a connection must carry, in bytes a second: what is slower is no help.
const MIN_BYTES_PER_SECOND: u64 = 512 * 1024;
/// Time for a server to answer at all.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(8);
/// Tries of one request.
const MAX_ATTEMPTS: u32 = 3;
/// The first pause between tries; it doubles.
const INITIAL_BACKOFF: Duration = Duration::from_millis(250);

/// One request.
#[derive(Debug)]
pub(crate) struct HttpRequest<'a> {
    /// Its method, such as `GET`.
    pub(crate) method: &'static str,
    /// Where to.
    pub(crate) url: &'a str,
    /// Its headers.
    pub(crate) headers: Vec<(String, String)>,
    /// What is sent.
    pub(crate) body: RequestBody<'a>,
    /// The most bytes of an answer that are taken.
    pub(crate) max_response_bytes: u64,
    /// Skip so many bytes of a whole object: what a server sends that knows no ranges.
    pub(crate) skip_bytes: u64,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpResponse {
    /// Its status.
    pub(crate) status: u16,
    /// Its headers that matter: names in lower case.
    headers: Vec<(String, String)>,
    /// Its body, at most as long as asked for.
    pub(crate) body: Vec<u8>,
    /// Whether the body was longer than asked for.
    pub(crate) truncated: bool,
}

impl HttpResponse {
    /// A header's value.
    pub(crate) fn header_value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text for a message: its first line, shortened.
    pub(crate) fn body_summary(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(160).collect()
    }

    /// The length of the whole object, by `Content-Range`.
    pub(crate) fn total_length(&self) -> Option<u64> {
        self.header_value("content-range")?.rsplit('/').next()?.parse().ok()
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nobody asks any more.
    #[error("{0}")]
    GaveUp(String),
    /// The connection failed, or took too long.
    #[error("{host}: {reason}")]
    Connection {
        /// Whom it was to.
        host: String,
        /// What happened.
        reason: String,
    },
    /// The server could not, in all tries.
    #[error("{host} answered {status}{message}")]
    Server {
        /// Which server.
        host: String,
        /// Its last answer.
        status: u16,
        /// What it said, behind a colon, or nothing.
        message: String,
    },
    /// A file that is sent cannot be read.
    #[error("{0}")]
    ReadBody(io::Error),
}

/// A client with its patience. Headers that are the same for all requests are given to each.
#[derive(Debug)]
pub struct HttpClient {
    agent: Agent,
    retry_budget: RetryBudget,
}

impl HttpClient {
    /// A client whose waits end when its patience does.
    pub fn new(patience: RetryBudget) -> Self {
        let told = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
        let tls = ureq::tls::TlsConfig::builder().root_certs(load_root_certs(told)).build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .user_agent(concat!("noxide/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .max_redirects(4)
            .timeout_resolve(Some(Duration::from_secs(5)))
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_recv_response(Some(RESPONSE_TIMEOUT))
            .timeout_per_read(Some(Duration::from_secs(6)))
            .timeout_per_write(Some(Duration::from_secs(6)))
            .build();
        Self { agent: agent.into(), retry_budget: patience }
    }

    /// What is left of it.
    pub(crate) fn retry_budget(&self) -> &RetryBudget {
        &self.retry_budget
    }

    /// Sends a request; tries again on 429 (after what `Retry-After` says), 5xx and broken connections.
    ///
    /// Every request here may be sent twice: services take the second for the first.
    ///
    /// # Errors
    /// When there is no answer, or none but that the server cannot.
    pub(crate) fn send_with_retries(&self, request: &HttpRequest<'_>) -> Result<HttpResponse, HttpError> {
        let host = url_host(request.url);
        let mut pause = INITIAL_BACKOFF;
        for number in 1.. {
            let Some(left) = self.retry_budget.remaining() else { return Err(self.gave_up_error()) };
            let begun = Instant::now();
            let wait = match self.send_once(request, left) {
                Ok(answer) if answer.status == 429 || answer.status >= 500 => {
                    let said = Some(answer.body_summary()).filter(|said| !said.is_empty());
                    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
                    let why = format!("{host} answered {}{said}", answer.status);
                    self.retry_budget.record_failure(begun.elapsed(), &why);
                    if number >= MAX_ATTEMPTS {
                        return Err(HttpError::Server { host, status: answer.status, message: said });
                    }
                    (answer.header_value("retry-after").and_then(parse_retry_after).unwrap_or(pause), why)
                }
                Ok(answer) => {
                    self.retry_budget.record_success();
                    return Ok(answer);
                }
                Err(AttemptError::ReadBody(error)) => return Err(HttpError::ReadBody(error)),
                Err(AttemptError::Connection(why)) => {
                    self.retry_budget.record_failure(begun.elapsed(), &format!("{host}: {why}"));
                    if number >= MAX_ATTEMPTS {
                        return Err(HttpError::Connection { host, reason: why });
                    }
                    (pause, format!("{host}: {why}"))
                }
            };
            if !self.retry_budget.try_sleep(wait.0, &wait.1) {
                return Err(self.gave_up_error());
            }
            pause *= 2;
        }
        Err(self.gave_up_error())
    }

    fn gave_up_error(&self) -> HttpError {
        HttpError::GaveUp(self.retry_budget.gave_up_reason().unwrap_or_else(|| "no patience is left".to_owned()))
    }

    fn send_once(&self, request: &HttpRequest<'_>, left: Duration) -> Result<HttpResponse, AttemptError> {
        let carried = |bytes: u64| Duration::from_secs(bytes / MIN_BYTES_PER_SECOND);
        let limit = |bytes: u64| (Duration::from_secs(4) + carried(bytes)).min(left);
        let mut builder = http::Request::builder().method(request.method).uri(request.url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let times = AttemptTimeouts {
            // Sending is no waiting while the connection carries what it must.
            send_body: Duration::from_secs(4) + carried(request.body.len()),
            response: RESPONSE_TIMEOUT.min(left),
            receive_body: limit(request.max_response_bytes.saturating_add(request.skip_bytes)),
        };
        let answer = if matches!(request.body, RequestBody::None) {
            self.run_request(builder, SendBody::none(), times)
        } else {
            builder = builder.header("content-length", request.body.len());
            let mut part = BodyReader::new(request.body);
            let answer = self.run_request(builder, SendBody::from_reader(&mut part), times);
            match part.read_error {
                Some(broken) => Err(AttemptError::ReadBody(broken)),
                None => answer,
            }
        };
        read_response(answer?, request)
    }

    fn run_request(
        &self,
        builder: http::request::Builder,
        body: SendBody<'_>,
        times: AttemptTimeouts,
    ) -> Result<http::Response<ureq::Body>, AttemptError> {
        let sent = builder.body(body).map_err(|error| AttemptError::Connection(error.to_string()))?;
        let configured = self
            .agent
            .configure_request(sent)
            .timeout_send_body(Some(times.send_body))
            .timeout_recv_response(Some(times.response))
            .timeout_recv_body(Some(times.receive_body))
            .build();
        self.agent.run(configured).map_err(|error| AttemptError::Connection(describe_error(&error)))
    }
}

/// How long the parts of one try may take.
#[derive(Clone, Copy)]
struct AttemptTimeouts {
    send_body: Duration,
    response: Duration,
    receive_body: Duration,
}

/// Why one try gave no answer.
enum AttemptError {
    Connection(String),
    ReadBody(io::Error),
}

fn read_response(answer: http::Response<ureq::Body>, request: &HttpRequest<'_>) -> Result<HttpResponse, AttemptError> {
    let status = answer.status().as_u16();
    let headers = answer.headers().iter();
    let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let headers: Vec<(String, String)> = headers.filter_map(text).collect();
    let mut reader = answer.into_body().into_with_config().limit(u64::MAX).reader();
    let failed = |error: io::Error| AttemptError::Connection(format!("the answer broke off: {error}"));
    let whole = status == 200 && !headers.iter().any(|(name, _)| name == "content-range");
    if whole && request.skip_bytes > 0 {
        io::copy(&mut (&mut reader).take(request.skip_bytes), &mut io::sink()).map_err(failed)?;
    }
    let mut body = Vec::new();
    // What is wrong is told in full, whatever part of an object was asked for.
    let most =
        if (200..300).contains(&status) { request.max_response_bytes } else { request.max_response_bytes.max(4096) };
    (&mut reader).take(most).read_to_end(&mut body).map_err(failed)?;
    let cut = body.len() as u64 == most && reader.read(&mut [0]).map_err(failed)? > 0;
    Ok(HttpResponse { status, headers, body, truncated: cut })
}

fn url_host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    // Never what stands before it: it may be a password.
    host.rsplit('@').next().unwrap_or_default().to_owned()
}

/// What went wrong, without the address, which may hold a signature.
fn describe_error(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "it took too long".to_owned(),
        ureq::Error::HostNotFound => "there is no such host".to_owned(),
        ureq::Error::BadUri(_) => "the address is no URL".to_owned(),
        other => other.to_string(),
    }
}

/// `Retry-After` in seconds, or as a date.
fn parse_retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?;
    let left = date.timestamp().as_second() - jiff::Timestamp::now().as_second();
    Some(Duration::from_secs(u64::try_from(left).unwrap_or(0)))
}

/// Where systems keep theirs.
const SYSTEM_CA_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Those of `SSL_CERT_FILE`, else the system's, else Mozilla's as of the build.
pub(super) fn load_root_certs(told: Option<PathBuf>) -> RootCerts {
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
    let found = told.into_iter().chain(system).find_map(read);
    found.map_or(RootCerts::WebPki, |found| RootCerts::new_with_certs(&found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_that_servers_ask_for() {
        assert_eq!(parse_retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("soon"), None);
    }

    #[test]
    fn hosts_without_secrets() {
        assert_eq!(url_host("https://me:secret@cache.example.org:81/a?sig=b"), "cache.example.org:81");
        assert_eq!(url_host("odd"), "odd");
    }

    #[test]
    fn a_file_without_certificates_is_passed_over() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let there = SYSTEM_CA_BUNDLES.iter().any(|place| std::path::Path::new(place).exists());
        let system = load_root_certs(Some(file.path().to_path_buf()));
        assert_eq!(matches!(system, RootCerts::Specific(_)), there);
    }
}
