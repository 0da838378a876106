//! Parts shared by both versions of the Actions cache service: access mode, entry version, upload size.

use crate::cache::backend::BackendError;
use crate::cache::http::HttpResponse;

/// Size of an upload request in bytes: small enough for a slow connection.
pub(super) const UPLOAD_CHUNK_BYTES: u64 = 8 * 1024 * 1024;

/// What a run may do with the Actions cache service (`ACTIONS_CACHE_MODE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessMode {
    /// Read and write, the default.
    ReadWrite,
    /// Only read.
    ReadOnly,
    /// Only write.
    WriteOnly,
    /// Neither read nor write.
    None,
}

impl AccessMode {
    /// Parses the variable. Unknown values permit everything, as in the official client.
    pub(crate) fn parse(value: &str) -> Self {
        match value.trim().to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "read" => Self::ReadOnly,
            "write-only" => Self::WriteOnly,
            _ => Self::ReadWrite,
        }
    }

    /// Returns whether reading is permitted.
    pub(crate) fn can_read(self) -> bool {
        matches!(self, Self::ReadWrite | Self::ReadOnly)
    }

    /// Returns whether writing is permitted.
    pub(crate) fn can_write(self) -> bool {
        matches!(self, Self::ReadWrite | Self::WriteOnly)
    }

    pub(super) fn check_read(self) -> Result<(), BackendError> {
        if self.can_read() {
            Ok(())
        } else {
            Err(BackendError::Unsupported("ACTIONS_CACHE_MODE does not permit reading"))
        }
    }

    pub(super) fn check_write(self) -> Result<(), BackendError> {
        if self.can_write() {
            Ok(())
        } else {
            Err(BackendError::Unsupported("ACTIONS_CACHE_MODE does not permit writing"))
        }
    }
}

/// Returns the version of noxide's cache entries. The official client uses a digest of the cached paths.
pub(super) fn cache_version() -> String {
    blake3::hash(b"noxide pack 2").to_hex().to_string()
}

pub(super) fn invalid_json_error(response: &HttpResponse, error: &serde_json::Error) -> BackendError {
    BackendError::UnexpectedResponse(format!("{error} in `{}`", response.body_summary()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_parsed_as_by_the_official_client() {
        for (value, reads, writes) in [
            ("", true, true),
            ("odd", true, true),
            (" Read\n", true, false),
            ("write", true, true),
            ("WRITE-ONLY", false, true),
            ("none", false, false),
        ] {
            let mode = AccessMode::parse(value);
            assert_eq!((mode.can_read(), mode.can_write()), (reads, writes), "{value}");
            assert_eq!((mode.check_read().is_ok(), mode.check_write().is_ok()), (reads, writes), "{value}");
        }
    }
}
