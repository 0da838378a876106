//! A place for packs and manifests: what every kind of it can do.

use std::fmt::Debug;
use std::ops::Range;

use super::http::{HttpError, Payload};

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
    Answer(String),
    /// It may only be read, or only be written.
    #[error("{0}")]
    Mode(&'static str),
    /// A file or folder refused.
    #[error("{0}")]
    File(#[from] std::io::Error),
}

/// An object as listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// When it was written, in seconds since 1970, where that is known.
    pub time: Option<i64>,
}

/// What a backend can do beyond reading and writing objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Whether it may be read.
    pub reads: bool,
    /// Whether it may be written.
    pub writes: bool,
    /// Whether a list has all objects; otherwise it has at most the newest.
    pub lists: bool,
    /// Whether objects can be removed.
    pub deletes: bool,
}

/// A place for objects under keys. Keys are lower case, of `a-z 0-9 . _ - /`, and never empty.
pub trait Backend: Debug + Send + Sync {
    /// What it is, for people.
    fn title(&self) -> String;

    /// What it can do.
    fn abilities(&self) -> Abilities;

    /// Bytes of an object; fewer where it ends before; none where there is no such object.
    ///
    /// # Errors
    /// When the service fails.
    fn get(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, BackendError>;

    /// Writes an object whole or not at all. One that is there under this key is left or replaced: keys name content.
    ///
    /// # Errors
    /// When the service fails or may not be written.
    fn put(&self, key: &str, payload: Payload<'_>) -> Result<(), BackendError>;

    /// Objects whose keys begin so, the newest first as far as times are known.
    ///
    /// # Errors
    /// When the service fails.
    fn list(&self, prefix: &str) -> Result<Vec<Object>, BackendError>;

    /// Removes an object; one that is not there is removed.
    ///
    /// # Errors
    /// When the service fails or cannot remove.
    fn delete(&self, key: &str) -> Result<(), BackendError>;
}

/// Whether a text may be a key: services differ in what else they take.
pub fn is_key(key: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-/".contains(&byte);
    (1..=512).contains(&key.len())
        && key.bytes().all(fits)
        && key.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

/// Refuses what is no key.
///
/// # Errors
/// When it is none.
pub(super) fn check_key(key: &str) -> Result<(), BackendError> {
    if is_key(key) { Ok(()) } else { Err(BackendError::Answer(format!("`{key}` is no key"))) }
}

/// Text made fit for a part of a key.
pub fn key_part(text: &str) -> String {
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
        assert!(is_key("nx1/a-b_c.d") && is_key("a"));
        let long = "a".repeat(513);
        for wrong in ["", "A", "a,b", "a b", "a//b", "../a", "a/..", "/a", long.as_str()] {
            assert!(!is_key(wrong), "{wrong}");
        }
        assert_eq!(key_part("Org/My Repo"), "org-my-repo");
        assert_eq!(key_part("/"), "none");
    }
}
