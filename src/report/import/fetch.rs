//! Paginated API responses fetched from a forge, bounded in size and time.

use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::text::shorten_text;

/// Maximum size of all responses together, in bytes.
const MAX_RESPONSE_BYTES: u64 = 64 << 20;
/// Maximum number of pages.
const MAX_PAGES: usize = 50;
/// Timeout of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Timeout of all requests together.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(300);

/// One API response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForgeResponse {
    pub(crate) url: String,
    pub(crate) body: Vec<u8>,
}

/// Errors fetching from a forge.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// The forge returned an error status.
    #[error("{url}: the forge returned HTTP status {status}{}", body_suffix(body))]
    Status {
        /// Request URL.
        url: String,
        /// HTTP status.
        status: u16,
        /// Beginning of the response body.
        body: String,
    },
    /// The request failed, or the response was too large.
    #[error("{url}: {reason}")]
    Transport {
        /// Request URL.
        url: String,
        /// Cause of the failure.
        reason: String,
    },
}

fn body_suffix(body: &str) -> String {
    if body.is_empty() { String::new() } else { format!(": {body}") }
}

/// Fetches a URL and its following pages (`Link: …; rel="next"`) from the same forge.
///
/// The token is sent to that forge only. Certificates come from `SSL_CERT_FILE` (`certificates`) if set, otherwise from
/// the built-in roots.
///
/// # Errors
/// If a page cannot be fetched.
pub(crate) fn fetch_pages(
    url: &str,
    token: Option<&str>,
    certificates: Option<&[u8]>,
) -> Result<Vec<ForgeResponse>, FetchError> {
    let failed = |url: &str, reason: String| FetchError::Transport { url: url.to_owned(), reason };
    let mut tls = TlsConfig::builder();
    if let Some(pem) = certificates {
        let roots: Vec<_> = parse_pem(pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        tls = tls.root_certs(RootCerts::new_with_certs(&roots));
    }
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(REQUEST_TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(3)
        .tls_config(tls.build())
        .build()
        .into();
    let (mut responses, mut next) = (Vec::new(), Some(url.to_owned()));
    let (mut bytes_left, deadline) = (MAX_RESPONSE_BYTES, Instant::now() + TOTAL_TIMEOUT);
    while let Some(url) = next.take().filter(|_| responses.len() < MAX_PAGES) {
        if Instant::now() > deadline {
            let message = format!("the pages before it took more than {} seconds", TOTAL_TIMEOUT.as_secs());
            return Err(failed(&url, message));
        }
        let mut request = agent.get(&url).header("Accept", "application/json").header("User-Agent", "noxide");
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().map_err(|error| failed(&url, error.to_string()))?;
        let link = response.headers().get("link").and_then(|link| link.to_str().ok()).map(str::to_owned);
        let status = response.status().as_u16();
        let read = response.body_mut().with_config().limit(bytes_left).read_to_vec();
        let bytes = read.map_err(|error| failed(&url, error.to_string()))?;
        bytes_left = bytes_left.saturating_sub(bytes.len() as u64);
        if status >= 300 {
            let body: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).collect();
            let body = shorten_text(&body, 200);
            return Err(FetchError::Status { url, status, body: body.trim().to_owned() });
        }
        next = link.as_deref().and_then(next_page_url).filter(|next| url_origin(next) == url_origin(&url));
        responses.push(ForgeResponse { url, body: bytes });
    }
    Ok(responses)
}

/// Returns the URL of the next page.
fn next_page_url(link: &str) -> Option<String> {
    link.split(',').find_map(|part| {
        let (url, relation) = part.split_once(';')?;
        let next = relation.replace(['"', ' '], "").split(';').any(|attribute| attribute == "rel=next");
        next.then(|| url.trim().trim_start_matches('<').trim_end_matches('>').to_owned())
    })
}

/// Returns scheme, host and port of a URL.
fn url_origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find('/').map_or(url.len(), |at| host + at);
    &url[..end]
}
