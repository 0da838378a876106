//! List of the artifacts collected from a session, version 2.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::number_limits::find_invalid_number;
use crate::fs::{MAX_DOCUMENT_BYTES, RootDir, is_contained_path, read_limited, write_atomic};
use crate::project::path_serde;

/// Version of the list that is written and read.
pub(crate) const ARTIFACTS_VERSION: u32 = 2;

/// Maximum length of the name of a session, in bytes: it is repeated for each suite in a JUnit report.
const MAX_SESSION_NAME_BYTES: usize = 4_096;

/// Artifacts of one session: `artifacts/<session>/artifacts.json` in a run directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactList {
    /// Always `ARTIFACTS_VERSION`.
    pub version: u32,
    /// Name of the session.
    pub session: String,
    /// Files sorted by path.
    pub files: Vec<Artifact>,
}

/// One collected file; its content is at `path` below `files`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Path relative to the project's root.
    #[serde(with = "path_serde")]
    pub path: PathBuf,
    /// Size in bytes; 0 for a link.
    pub bytes: u64,
    /// BLAKE3 digest in hexadecimal; `None` for a link.
    pub digest: Option<String>,
    /// Permission bits.
    pub mode: u32,
    /// Target of a symbolic link; the link itself is not copied.
    #[serde(default, with = "path_serde::optional")]
    pub link_target: Option<PathBuf>,
    /// Whether it changed each time it was copied, so that the copy may be inconsistent.
    #[serde(default)]
    pub changed_during_copy: bool,
}

impl ArtifactList {
    /// Returns the directory of a session's artifacts; `stem` is the file stem of its logs.
    pub fn session_dir(run_dir: &Path, stem: &str) -> PathBuf {
        run_dir.join("artifacts").join(stem)
    }

    /// Writes the list into its directory.
    ///
    /// # Errors
    /// When the directory is not writable.
    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        write_atomic(&dir.join("artifacts.json"), &bytes)
    }

    /// Reads the list of a directory.
    ///
    /// # Errors
    /// When it does not exist, is damaged or has another version.
    pub fn read(dir: &Path) -> io::Result<Self> {
        let path = dir.join("artifacts.json");
        let reject =
            |reason: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {reason}", path.display()));
        let bytes = read_list(dir, &path)?;
        let document = serde_json::from_slice(&bytes).map_err(|error| reject(error.to_string()))?;
        if let Some(problem) = find_invalid_number(&document) {
            return Err(reject(problem));
        }
        let artifacts: Self = serde_json::from_value(document).map_err(|error| reject(error.to_string()))?;
        if artifacts.session.len() > MAX_SESSION_NAME_BYTES {
            let length = artifacts.session.len();
            return Err(reject(format!(
                "the name of the session has {length} bytes, more than {MAX_SESSION_NAME_BYTES}; use a shorter one"
            )));
        }
        match artifacts.version {
            ARTIFACTS_VERSION => match artifacts.files.iter().find(|file| !is_contained_path(&file.path)) {
                None => Ok(artifacts),
                Some(file) => Err(reject(format!("{} is not a path below the project", file.path.display()))),
            },
            other => Err(reject(format!("this noxide reads version {ARTIFACTS_VERSION}, not version {other}"))),
        }
    }

    /// Reads the lists of all sessions of a run, with their directories, sorted by directory; unreadable ones are skipped.
    pub fn read_all(run_dir: &Path) -> Vec<(PathBuf, Self)> {
        let Ok(entries) = fs_err::read_dir(run_dir.join("artifacts")) else { return Vec::new() };
        let mut dirs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        dirs.sort_unstable();
        dirs.into_iter().filter_map(|dir| Some((dir.clone(), Self::read(&dir).ok()?))).collect()
    }
}

/// Reads the file of a list, which may come from another machine and must not be a link.
fn read_list(dir: &Path, path: &Path) -> io::Result<Vec<u8>> {
    let file = RootDir::open_no_follow(dir).and_then(|dir| dir.open_file(Path::new("artifacts.json")));
    let add_dir = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    file.and_then(|file| read_limited(file, MAX_DOCUMENT_BYTES)).map_err(add_dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_session_has_a_limit() {
        let directory = tempfile::tempdir().unwrap();
        let read = |length: usize| {
            let list = ArtifactList { version: ARTIFACTS_VERSION, session: "s".repeat(length), files: Vec::new() };
            list.write(directory.path()).unwrap();
            ArtifactList::read(directory.path())
        };
        assert!(read(MAX_SESSION_NAME_BYTES).is_ok());
        let error = read(MAX_SESSION_NAME_BYTES + 1).unwrap_err().to_string();
        assert!(error.contains("the name of the session has 4097 bytes, more than 4096"), "{error}");
    }
}
