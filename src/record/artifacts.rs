//! The manifest of files gathered from a session, version 1.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fs::write_atomic;
use crate::project::path_serde;

/// The version of the manifest this program writes.
pub(crate) const ARTIFACTS_VERSION: u32 = 1;

/// Files gathered from one session: `artifacts/<session>/manifest.json` in a run's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactManifest {
    /// Always [`ARTIFACTS_VERSION`] in what this program writes.
    pub version: u32,
    /// The session's name.
    pub session: String,
    /// The files, by path.
    pub files: Vec<Artifact>,
}

/// One file that was gathered; its bytes are at `path` below `files`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Relative to the project's root.
    #[serde(with = "path_serde")]
    pub path: PathBuf,
    /// Size in bytes; 0 for a link.
    pub bytes: u64,
    /// BLAKE3 of its bytes in hexadecimal digits; none for a link.
    pub digest: Option<String>,
    /// Permission bits.
    pub mode: u32,
    /// Where a symbolic link points, as it says; the link itself is not copied.
    #[serde(default, with = "path_serde::optional")]
    pub target: Option<PathBuf>,
    /// Whether it went on changing while it was copied, so that what is kept may be torn.
    #[serde(default)]
    pub changing: bool,
}

impl ArtifactManifest {
    /// Where a run keeps what it gathered from a session whose logs have this stem.
    pub fn session_dir(run: &Path, stem: &str) -> PathBuf {
        run.join("artifacts").join(stem)
    }

    /// Writes the manifest into its folder.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        write_atomic(&folder.join("manifest.json"), &bytes)
    }

    /// Reads the manifest of a folder.
    ///
    /// # Errors
    /// When there is none, or it cannot be read as one.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let path = folder.join("manifest.json");
        let refuse = |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()));
        let artifacts: Self =
            serde_json::from_slice(&fs_err::read(&path)?).map_err(|error| refuse(error.to_string()))?;
        match artifacts.version {
            ARTIFACTS_VERSION => Ok(artifacts),
            other => Err(refuse(format!("version {other} is not known to this noxide"))),
        }
    }

    /// Manifests of all sessions of a run with their folders, by folder; unreadable ones are passed over.
    pub fn read_all(run: &Path) -> Vec<(PathBuf, Self)> {
        let Ok(entries) = fs_err::read_dir(run.join("artifacts")) else { return Vec::new() };
        let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        folders.sort_unstable();
        folders.into_iter().filter_map(|folder| Some((folder.clone(), Self::read(&folder).ok()?))).collect()
    }
}
