//! The interface of remote cache backends.

use std::fmt::Debug;
use std::ops::Range;

use super::http::{HttpError, RequestBody};

/// Why a backend operation failed. Such an error never fails a run.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The connection or the server failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The server refused the request, because of a token, a scope or a quota.
    #[error("refused: {0}")]
    Refused(String),
    /// The key has characters, a length or parts that backends do not accept.
    #[error("`{0}` is not a valid key")]
    InvalidKey(String),
    /// The response does not match the protocol.
    #[error("unexpected response: {0}")]
    UnexpectedResponse(String),
    /// The backend does not support the operation.
    #[error("{0}")]
    Unsupported(&'static str),
    /// Reading or writing a file failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredObject {
    /// Key of the object.
    pub key: String,
    /// When it was written, in seconds since 1970, if that is known.
    pub written_at: Option<i64>,
}

/// Operations that a backend supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendCapabilities {
    /// Whether objects can be read.
    pub can_read: bool,
    /// Whether objects can be written.
    pub can_write: bool,
    /// Whether a list contains all objects; otherwise it contains at most the newest.
    pub lists_all: bool,
    /// Whether objects can be deleted.
    pub can_delete: bool,
}

/// A store of objects under keys. Keys consist of `a-z 0-9 . _ - /` and are never empty.
pub trait CacheBackend: Debug + Send + Sync {
    /// Returns its name for display.
    fn display_name(&self) -> String;

    /// Returns the operations that it supports.
    fn capabilities(&self) -> BackendCapabilities;

    /// Reads a range of an object. Returns fewer bytes if the object ends earlier, and `None` if it does not exist.
    ///
    /// # Errors
    /// If the service fails.
    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, BackendError>;

    /// Writes an object atomically. An existing object may be kept or replaced, because keys identify content.
    ///
    /// # Errors
    /// If the service fails or is read-only.
    fn put_object(&self, key: &str, body: RequestBody<'_>) -> Result<(), BackendError>;

    /// Lists objects whose keys begin with `prefix`, the newest first as far as times are known.
    ///
    /// # Errors
    /// If the service fails.
    fn list_objects(&self, prefix: &str) -> Result<Vec<StoredObject>, BackendError>;

    /// Deletes an object; succeeds if it does not exist.
    ///
    /// # Errors
    /// If the service fails or does not support deletion.
    fn delete_object(&self, key: &str) -> Result<(), BackendError>;
}

/// Returns whether a text is a key that every service accepts.
pub(crate) fn is_valid_key(key: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-/".contains(&byte);
    (1..=512).contains(&key.len())
        && key.bytes().all(is_allowed)
        && key.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

/// Checks a key.
///
/// # Errors
/// If the key is not valid.
pub(super) fn validate_key(key: &str) -> Result<(), BackendError> {
    if is_valid_key(key) { Ok(()) } else { Err(BackendError::InvalidKey(key.to_owned())) }
}

/// Replaces characters that are not allowed in a part of a key.
pub(crate) fn sanitize_key_part(text: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '_';
    let mut part = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        match is_allowed(c) {
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
    fn keys_are_accepted_by_every_service() {
        assert!(is_valid_key("nx2/a-b_c.d") && is_valid_key("a"));
        let long = "a".repeat(513);
        for invalid in ["", "A", "a,b", "a b", "a//b", "../a", "a/..", "/a", long.as_str()] {
            assert!(!is_valid_key(invalid), "{invalid}");
        }
        assert_eq!(sanitize_key_part("Org/My Repo"), "org-my-repo");
        assert_eq!(sanitize_key_part("/"), "none");
    }
}
