//! Answers fetched from a forge, page by page, bounded in size and time.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// Bytes of one answer.
const MAX_RESPONSE_BYTES: u64 = 32 << 20;
/// Pages of one address.
const MAX_PAGES: usize = 50;
/// How long one answer may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForgeResponse {
    /// Its address.
    pub(crate) url: String,
    /// Its bytes.
    pub(crate) body: Vec<u8>,
}

/// Why an answer could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// The forge refused.
    #[error("{url}: the forge answers {status}{}", body_suffix(body))]
    Status {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        body: String,
    },
    /// No answer came, or it was too large.
    #[error("{url}: {reason}")]
    Transport {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
}

fn body_suffix(body: &str) -> String {
    if body.is_empty() { String::new() } else { format!(": {body}") }
}

/// Fetches an address and the pages after it (`Link: …; rel="next"`) on the same forge.
///
/// The token goes to that forge alone. Certificates are those of `SSL_CERT_FILE` where that is set (`certificates`),
/// else the ones built in.
///
/// # Errors
/// When an answer cannot be had.
pub(crate) fn fetch_pages(
    address: &str,
    token: Option<&str>,
    certificates: Option<&[u8]>,
) -> Result<Vec<ForgeResponse>, FetchError> {
    let failed = |address: &str, why: String| FetchError::Transport { url: address.to_owned(), reason: why };
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
    let (mut answers, mut next) = (Vec::new(), Some(address.to_owned()));
    while let Some(address) = next.take().filter(|_| answers.len() < MAX_PAGES) {
        let mut request = agent.get(&address).header("Accept", "application/json").header("User-Agent", "noxide");
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().map_err(|error| failed(&address, error.to_string()))?;
        let link = response.headers().get("link").and_then(|link| link.to_str().ok()).map(str::to_owned);
        let status = response.status().as_u16();
        let read = response.body_mut().with_config().limit(MAX_RESPONSE_BYTES).read_to_vec();
        let bytes = read.map_err(|error| failed(&address, error.to_string()))?;
        if status >= 300 {
            let body: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).take(200).collect();
            return Err(FetchError::Status { url: address, status, body: body.trim().to_owned() });
        }
        next = link.as_deref().and_then(next_page_url).filter(|next| url_origin(next) == url_origin(&address));
        answers.push(ForgeResponse { url: address, body: bytes });
    }
    Ok(answers)
}

/// The address of the next page.
fn next_page_url(link: &str) -> Option<String> {
    link.split(',').find_map(|part| {
        let (address, relation) = part.split_once(';')?;
        let next = relation.replace(['"', ' '], "").split(';').any(|one| one == "rel=next");
        next.then(|| address.trim().trim_start_matches('<').trim_end_matches('>').to_owned())
    })
}

/// Scheme, host and port of an address.
fn url_origin(address: &str) -> &str {
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address[host..].find('/').map_or(address.len(), |at| host + at);
    &address[..end]
}
