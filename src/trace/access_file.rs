//! The sets of one session on disk, version 1.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::session_accesses::SessionAccesses;
use crate::fs::write_atomic;
use crate::project::SessionName;

/// The version this program writes.
const FORMAT_VERSION: u32 = 1;

/// The sets of one session on disk; docs/formats/access.md describes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccessFile {
    /// Always 1 in what this program writes.
    pub(crate) version: u32,
    /// Whose they are.
    pub(crate) session: SessionName,
    /// Digest of what the session is made of: where it is another now, what is said here may be stale.
    pub(crate) fingerprint: String,
    /// Whether nothing was missed; where something was, `blind` says why.
    pub(crate) complete: bool,
    /// The sets.
    #[serde(flatten)]
    pub(crate) accesses: SessionAccesses,
}

/// Why a file of sets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccessFileError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is none.
    #[error("{0} does not hold what a session touched: {1}")]
    InvalidContent(String, serde_json::Error),
    /// Another noxide wrote it.
    #[error("{0}: version {1} is not known to this noxide")]
    UnsupportedVersion(String, u32),
}

impl AccessFile {
    /// The sets of a session, ready for disk.
    pub(crate) fn new(session: SessionName, fingerprint: String, accesses: SessionAccesses) -> Self {
        Self { version: FORMAT_VERSION, session, fingerprint, complete: accesses.is_complete(), accesses }
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is not there, no such file, or of another version.
    pub(crate) fn read(path: &Path) -> Result<Self, AccessFileError> {
        let shown = path.display().to_string();
        let file: Self = serde_json::from_slice(&fs_err::read(path)?)
            .map_err(|error| AccessFileError::InvalidContent(shown.clone(), error))?;
        if file.version == FORMAT_VERSION {
            Ok(file)
        } else {
            Err(AccessFileError::UnsupportedVersion(shown, file.version))
        }
    }

    /// Writes it, making its folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), AccessFileError> {
        path.parent().map_or(Ok(()), fs_err::create_dir_all)?;
        let mut text = serde_json::to_vec_pretty(self).map_err(io::Error::from)?;
        text.push(b'\n');
        Ok(write_atomic(path, &text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accesses/tests.json");
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
        assert!(matches!(AccessFile::read(folder.path()), Err(AccessFileError::Io(_))));
    }
}
