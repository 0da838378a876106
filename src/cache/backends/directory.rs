//! A directory as a backend, for example on a mounted volume.

use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::cache::backend::{
    BackendCapabilities, BackendError, CacheBackend, StoredObject, is_valid_key, validate_key,
};
use crate::cache::http::RequestBody;
use crate::fs::RootDir;

/// Age after which an incomplete file is deleted, because its writer was probably killed.
const MAX_PARTIAL_AGE: std::time::Duration = std::time::Duration::from_hours(24);
/// Name prefix of incomplete files.
const PARTIAL_PREFIX: &str = ".partial-";
/// Maximum number of files and directories that a list visits, and the depth of their directories.
const MAX_LISTED_FILES: usize = 100_000;
const MAX_LISTED_DEPTH: usize = 16;

/// A directory as a backend. Others may write to it: links below it are not followed, and only regular files are opened.
#[derive(Debug)]
pub struct DirectoryBackend {
    root: PathBuf,
}

impl DirectoryBackend {
    /// Uses a directory, which is created when the first object is written.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Opens the directory; returns `None` if it does not exist.
    fn open_root(&self) -> io::Result<Option<RootDir>> {
        match RootDir::open(&self.root) {
            Err(error) if is_not_found(&error) => Ok(None),
            opened => opened.map(Some),
        }
    }
}

impl CacheBackend for DirectoryBackend {
    fn display_name(&self) -> String {
        self.root.display().to_string()
    }

    fn capabilities(&self) -> BackendCapabilities {
        BackendCapabilities { can_read: true, can_write: true, lists_all: true, can_delete: true }
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, BackendError> {
        validate_key(key)?;
        let Some(root) = self.open_root()? else { return Ok(None) };
        let mut file = match root.open_file(Path::new(key)) {
            Ok(file) => file,
            Err(error) if is_not_found(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        file.seek(SeekFrom::Start(range.start))?;
        let mut bytes = Vec::new();
        file.take(range.end.saturating_sub(range.start)).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn put_object(&self, key: &str, body: RequestBody<'_>) -> Result<(), BackendError> {
        validate_key(key)?;
        fs_err::create_dir_all(&self.root)?;
        let root = RootDir::open(&self.root)?;
        let partial =
            Path::new(key).with_file_name(format!("{PARTIAL_PREFIX}{:016x}", RandomState::new().hash_one(key)));
        let written = root.create_file(&partial, 0o600.into()).and_then(|mut file| {
            io::copy(&mut body.into_reader(), &mut file)?;
            // Other users of a shared volume may read the object.
            file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
            root.rename(&partial, Path::new(key))
        });
        if written.is_err() {
            // If this fails, a later list removes it.
            let _ = root.remove_file(&partial);
        }
        Ok(written?)
    }

    fn list_objects(&self, prefix: &str) -> Result<Vec<StoredObject>, BackendError> {
        let Some(root) = self.open_root()? else { return Ok(Vec::new()) };
        let directory = match prefix.rsplit_once('/') {
            Some((directory, _)) => {
                validate_key(directory)?;
                if !root.is_dir(Path::new(directory)) {
                    return Ok(Vec::new());
                }
                self.root.join(directory)
            }
            None => self.root.clone(),
        };
        let mut found = Vec::new();
        for entry in WalkDir::new(directory).max_depth(MAX_LISTED_DEPTH).into_iter().take(MAX_LISTED_FILES) {
            let entry = match entry {
                Ok(entry) => entry,
                // Deleted by another process during the walk.
                Err(error) if error.io_error().is_some_and(is_not_found) => continue,
                Err(error) => return Err(io::Error::from(error).into()),
            };
            if !entry.file_type().is_file() || entry.file_name().to_string_lossy().starts_with(PARTIAL_PREFIX) {
                self.remove_stale_partial(entry.path());
                continue;
            }
            let key = entry.path().strip_prefix(&self.root).ok().and_then(Path::to_str).unwrap_or_default();
            if key.starts_with(prefix) && is_valid_key(key) {
                let modified = entry.metadata().ok().and_then(|metadata| metadata.modified().ok());
                let since_epoch = modified.and_then(|written_at| written_at.duration_since(std::time::UNIX_EPOCH).ok());
                let written_at = since_epoch.and_then(|since_epoch| i64::try_from(since_epoch.as_secs()).ok());
                found.push(StoredObject { key: key.to_owned(), written_at });
            }
        }
        found.sort_by(|one, other| (other.written_at, &other.key).cmp(&(one.written_at, &one.key)));
        Ok(found)
    }

    fn delete_object(&self, key: &str) -> Result<(), BackendError> {
        validate_key(key)?;
        match self.open_root()? {
            Some(root) => Ok(root.remove_file(Path::new(key))?),
            None => Ok(()),
        }
    }
}

impl DirectoryBackend {
    /// Deletes an old incomplete file.
    fn remove_stale_partial(&self, path: &Path) {
        let is_partial = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PARTIAL_PREFIX));
        let age = || {
            fs_err::symlink_metadata(path)
                .and_then(|metadata| metadata.modified())
                .ok()
                .and_then(|written_at| written_at.elapsed().ok())
        };
        if is_partial && age().is_some_and(|age| age > MAX_PARTIAL_AGE) {
            let _ = fs_err::remove_file(path);
        }
    }
}

fn is_not_found(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
