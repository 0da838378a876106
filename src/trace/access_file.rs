//! Access file: the recorded accesses of one session on disk, format version 3.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::session_accesses::SessionAccesses;
use crate::fs::{MAX_DOCUMENT_BYTES, create_parent_dir, read_regular_file, write_atomic};
use crate::project::SessionName;

/// Version of the file format.
const FORMAT_VERSION: u32 = 3;

/// Recorded accesses of one session, as documented in docs/formats/access.md.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccessFile {
    /// Format version.
    pub(crate) version: u32,
    pub(crate) session: SessionName,
    /// Digest of the session's definition; a different current digest means that these accesses may be stale.
    pub(crate) session_digest: String,
    /// Whether the trace saw every access; if not, `incomplete_reasons` lists why.
    pub(crate) complete: bool,
    #[serde(flatten)]
    pub(crate) accesses: SessionAccesses,
}

/// Errors reading or writing an access file.
#[derive(Debug, thiserror::Error)]
pub enum AccessFileError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The content is not an access file.
    #[error("{0} is not a valid access file: {1}")]
    InvalidContent(String, serde_json::Error),
    /// The file has another format version.
    #[error(
        "{0} has format version {1}, which this noxide does not support; delete the directory `trace` in .nox/.noxide"
    )]
    UnsupportedVersion(String, u32),
}

impl AccessFile {
    /// Builds the file content for a session.
    pub(crate) fn new(session: SessionName, session_digest: String, accesses: SessionAccesses) -> Self {
        Self { version: FORMAT_VERSION, session, session_digest, complete: accesses.is_complete(), accesses }
    }

    /// Reads an access file.
    ///
    /// # Errors
    /// If the file is missing, invalid, or of another version.
    pub(crate) fn read(path: &Path) -> Result<Self, AccessFileError> {
        let shown = path.display().to_string();
        let file: Self = serde_json::from_slice(&read_regular_file(path, MAX_DOCUMENT_BYTES)?)
            .map_err(|error| AccessFileError::InvalidContent(shown.clone(), error))?;
        if file.version == FORMAT_VERSION {
            Ok(file)
        } else {
            Err(AccessFileError::UnsupportedVersion(shown, file.version))
        }
    }

    /// Writes the file atomically, creating its parent directory.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), AccessFileError> {
        create_parent_dir(path)?;
        let mut text = serde_json::to_vec_pretty(self).map_err(io::Error::from)?;
        text.push(b'\n');
        Ok(write_atomic(path, &text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_versions_and_other_content_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("accesses/tests.json");
        let accesses =
            SessionAccesses { read: ["a".to_owned()].into(), ..SessionAccesses::for_untraced("io_uring".to_owned()) };
        let mut file = AccessFile::new(SessionName::new("tests"), "f".to_owned(), accesses);
        assert!(!file.complete);
        file.write(&path).unwrap();
        assert_eq!(AccessFile::read(&path).unwrap(), file);
        file.version = 2;
        file.write(&path).unwrap();
        assert!(AccessFile::read(&path).unwrap_err().to_string().contains("version 2"));
        fs_err::write(&path, "{}").unwrap();
        assert!(matches!(AccessFile::read(&path), Err(AccessFileError::InvalidContent(..))));
        assert!(matches!(AccessFile::read(directory.path()), Err(AccessFileError::Io(_))));
    }
}
