//! Answers fetched from a forge, page by page, bounded in size and time.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// Bytes of one answer.
const LARGEST: u64 = 32 << 20;
/// Pages of one address.
const PAGES: usize = 50;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its address.
    pub address: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Why an answer could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The forge refused.
    #[error("{address}: the forge answers {status}{}", said(body))]
    Status {
        /// The address.
        address: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        body: String,
    },
    /// No answer came, or it was too large.
    #[error("{address}: {why}")]
    Failed {
        /// The address.
        address: String,
        /// Why.
        why: String,
    },
}

fn said(body: &str) -> String {
    if body.is_empty() { String::new() } else { format!(": {body}") }
}

/// Fetches an address and the pages after it (`Link: …; rel="next"`) on the same forge.
///
/// The token goes to that forge alone. Certificates are those of `SSL_CERT_FILE` where that is set (`certificates`),
/// else the ones built in.
///
/// # Errors
/// When an answer cannot be had.
pub fn fetch(address: &str, token: Option<&str>, certificates: Option<&[u8]>) -> Result<Vec<Fetched>, FetchError> {
    let failed = |address: &str, why: String| FetchError::Failed { address: address.to_owned(), why };
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
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(3)
        .tls_config(tls.build())
        .build()
        .into();
    let (mut answers, mut next) = (Vec::new(), Some(address.to_owned()));
    while let Some(address) = next.take().filter(|_| answers.len() < PAGES) {
        let mut request = agent.get(&address).header("Accept", "application/json").header("User-Agent", "noxide");
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().map_err(|error| failed(&address, error.to_string()))?;
        let link = response.headers().get("link").and_then(|link| link.to_str().ok()).map(str::to_owned);
        let status = response.status().as_u16();
        let read = response.body_mut().with_config().limit(LARGEST).read_to_vec();
        let bytes = read.map_err(|error| failed(&address, error.to_string()))?;
        if status >= 300 {
            let body: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).take(200).collect();
            return Err(FetchError::Status { address, status, body: body.trim().to_owned() });
        }
        next = link.as_deref().and_then(following).filter(|next| origin(next) == origin(&address));
        answers.push(Fetched { address, bytes });
    }
    Ok(answers)
}

/// The address of the next page.
fn following(link: &str) -> Option<String> {
    link.split(',').find_map(|part| {
        let (address, relation) = part.split_once(';')?;
        let next = relation.replace(['"', ' '], "").split(';').any(|one| one == "rel=next");
        next.then(|| address.trim().trim_start_matches('<').trim_end_matches('>').to_owned())
    })
}

/// Scheme, host and port of an address.
fn origin(address: &str) -> &str {
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address[host..].find('/').map_or(address.len(), |at| host + at);
    &address[..end]
}
