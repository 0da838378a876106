//! A place for packs and manifests: what every kind of it can do.

use std::fmt::Debug;
use std::ops::Range;

use super::http::{HttpError, RequestBody};

/// Why a backend did not do what was asked. None of this fails a run.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The connection or the server failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It was refused: a token, a scope, a quota.
    #[error("refused: {0}")]
    Refused(String),
    /// The answer is none that this protocol has.
    #[error("not understood: {0}")]
    UnexpectedResponse(String),
    /// It may only be read, or only be written.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A file or folder refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// An object as listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredObject {
    /// Its key.
    pub key: String,
    /// When it was written, in seconds since 1970, where that is known.
    pub written_at: Option<i64>,
}

/// What a backend can do beyond reading and writing objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendCapabilities {
    /// Whether it may be read.
    pub can_read: bool,
    /// Whether it may be written.
    pub can_write: bool,
    /// Whether a list has all objects; otherwise it has at most the newest.
    pub lists_all: bool,
    /// Whether objects can be removed.
    pub can_delete: bool,
}

/// A place for objects under keys. Keys are lower case, of `a-z 0-9 . _ - /`, and never empty.
pub trait CacheBackend: Debug + Send + Sync {
    /// What it is, for people.
    fn display_name(&self) -> String;

    /// What it can do.
    fn capabilities(&self) -> BackendCapabilities;

    /// Bytes of an object; fewer where it ends before; none where there is no such object.
    ///
    /// # Errors
    /// When the service fails.
    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, BackendError>;

    /// Writes an object whole or not at all. One that is there under this key is left or replaced: keys name content.
    ///
    /// # Errors
    /// When the service fails or may not be written.
    fn put_object(&self, key: &str, payload: RequestBody<'_>) -> Result<(), BackendError>;

    /// Objects whose keys begin so, the newest first as far as times are known.
    ///
    /// # Errors
    /// When the service fails.
    fn list_objects(&self, prefix: &str) -> Result<Vec<StoredObject>, BackendError>;

    /// Removes an object; one that is not there is removed.
    ///
    /// # Errors
    /// When the service fails or cannot remove.
    fn delete_object(&self, key: &str) -> Result<(), BackendError>;
}

/// Whether a text may be a key: services differ in what else they take.
pub(crate) fn is_valid_key(key: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-/".contains(&byte);
    (1..=512).contains(&key.len())
        && key.bytes().all(fits)
        && key.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

/// Refuses what is no key.
///
/// # Errors
/// When it is none.
pub(super) fn validate_key(key: &str) -> Result<(), BackendError> {
    if is_valid_key(key) { Ok(()) } else { Err(BackendError::UnexpectedResponse(format!("`{key}` is no key"))) }
}

/// Text made fit for a part of a key.
pub(crate) fn sanitize_key_part(text: &str) -> String {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '_';
    let mut part = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        match fits(c) {
            true => part.push(c),
            false if !part.ends_with('-') => part.push('-'),
            false => {}
        }
    }
    let part = part.trim_matches(['-', '.']);
    if part.is_empty() { "none".to_owned() } else { part.chars().take(100).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_every_service_takes() {
        assert!(is_valid_key("nx2/a-b_c.d") && is_valid_key("a"));
        let long = "a".repeat(513);
        for wrong in ["", "A", "a,b", "a b", "a//b", "../a", "a/..", "/a", long.as_str()] {
            assert!(!is_valid_key(wrong), "{wrong}");
        }
        assert_eq!(sanitize_key_part("Org/My Repo"), "org-my-repo");
        assert_eq!(sanitize_key_part("/"), "none");
    }
}
