//! Shared parts of the Actions cache services: access mode, entry version, upload size.

use crate::cache::backend::BackendError;
use crate::cache::http::HttpResponse;

/// How much is sent at once: what a slow connection still carries in good time.
pub(super) const UPLOAD_CHUNK_BYTES: u64 = 8 * 1024 * 1024;

/// What a run may do with the forge's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessMode {
    /// Read and write; also where nobody says.
    ReadWrite,
    /// Read.
    ReadOnly,
    /// Write.
    WriteOnly,
    /// Neither.
    None,
}

impl AccessMode {
    /// Reads the variable; a word that is unknown permits all, as with the official client.
    pub(crate) fn parse(word: &str) -> Self {
        match word.trim().to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "read" => Self::ReadOnly,
            "write-only" => Self::WriteOnly,
            _ => Self::ReadWrite,
        }
    }

    /// Whether it may read.
    pub(crate) fn can_read(self) -> bool {
        matches!(self, Self::ReadWrite | Self::ReadOnly)
    }

    /// Whether it may write.
    pub(crate) fn can_write(self) -> bool {
        matches!(self, Self::ReadWrite | Self::WriteOnly)
    }

    pub(super) fn check_read(self) -> Result<(), BackendError> {
        if self.can_read() { Ok(()) } else { Err(BackendError::Unsupported("ACTIONS_CACHE_MODE lets nothing be read")) }
    }

    pub(super) fn check_write(self) -> Result<(), BackendError> {
        if self.can_write() {
            Ok(())
        } else {
            Err(BackendError::Unsupported("ACTIONS_CACHE_MODE lets nothing be written"))
        }
    }
}

/// Entries of ours have this version, whatever their paths: what the official client has there is a digest too.
pub(super) fn cache_version() -> String {
    blake3::hash(b"noxide pack 2").to_hex().to_string()
}

pub(super) fn invalid_json_error(answer: &HttpResponse, error: &serde_json::Error) -> BackendError {
    BackendError::UnexpectedResponse(format!("{error} in `{}`", answer.body_summary()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_official_client() {
        for (word, reads, writes) in [
            ("", true, true),
            ("odd", true, true),
            (" Read\n", true, false),
            ("write", true, true),
            ("WRITE-ONLY", false, true),
            ("none", false, false),
        ] {
            let mode = AccessMode::parse(word);
            assert_eq!((mode.can_read(), mode.can_write()), (reads, writes), "{word}");
            assert_eq!((mode.check_read().is_ok(), mode.check_write().is_ok()), (reads, writes), "{word}");
        }
    }
}
