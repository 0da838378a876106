//! Sources of an import: files, and URLs of a forge's API.

use std::io;

use super::fetch::{FetchError, fetch_pages};
use super::parse::{ImportError, ImportedHistory, parse_import};
use crate::record::environment_variable;

/// Largest file that is imported: no API response or log of nox is larger.
const MAX_IMPORT_BYTES: u64 = 64 << 20;

/// Why a source cannot be imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportSourceError {
    /// `SSL_CERT_FILE` cannot be read.
    #[error("cannot read SSL_CERT_FILE: {0}")]
    Certificates(#[source] io::Error),
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The error of the system.
        source: io::Error,
    },
    /// There is no such file.
    #[error("no such file: {0}")]
    NotFound(String),
    /// The path is not that of a file.
    #[error("cannot import {0}: not a file")]
    NotFile(String),
    /// The file is too large.
    #[error("cannot import {path}: {bytes} bytes are more than {} MiB", MAX_IMPORT_BYTES >> 20)]
    TooLarge {
        /// The file.
        path: String,
        /// Its size.
        bytes: u64,
    },
    /// The forge cannot be reached.
    #[error("cannot import {0}")]
    Fetch(#[from] FetchError),
    /// The content is not understood.
    #[error("cannot import {0}")]
    Parse(#[from] ImportError),
}

/// Reads and parses all sources; `http://` and `https://` sources are fetched.
///
/// # Errors
/// When one of them cannot be read or parsed.
pub(crate) fn import_sources(sources: &[String]) -> Result<ImportedHistory, ImportSourceError> {
    let mut history = ImportedHistory::default();
    for source in sources {
        for (location, bytes) in read_source(source)? {
            let import = parse_import(&location, &bytes)?;
            history.runs.extend(import.runs);
            history.skipped_entries += import.skipped_entries;
        }
    }
    Ok(history)
}

/// Reads a source: the bytes of a file, or the pages at a URL, each with its location.
fn read_source(source: &str) -> Result<Vec<(String, Vec<u8>)>, ImportSourceError> {
    if source.starts_with("http://") || source.starts_with("https://") {
        let token = environment_variable("NOXIDE_FORGE_TOKEN").filter(|token| !token.is_empty());
        let certificates = match std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) {
            None => None,
            Some(path) => Some(fs_err::read(path).map_err(ImportSourceError::Certificates)?),
        };
        let pages = fetch_pages(source, token.as_deref(), certificates.as_deref())?;
        return Ok(pages.into_iter().map(|page| (page.url, page.body)).collect());
    }
    // `std::fs`: the message names the file itself.
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => ImportSourceError::NotFound(source.to_owned()),
        _ => ImportSourceError::Read { path: source.to_owned(), source: error },
    };
    let metadata = std::fs::metadata(source).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(ImportSourceError::NotFile(source.to_owned()));
    }
    if metadata.len() > MAX_IMPORT_BYTES {
        return Err(ImportSourceError::TooLarge { path: source.to_owned(), bytes: metadata.len() });
    }
    Ok(vec![(source.to_owned(), std::fs::read(source).map_err(unreadable)?)])
}
