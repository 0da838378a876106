//! A directory as a backend, for example on a mounted volume.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::cache::backend::{
    BackendCapabilities, BackendError, CacheBackend, StoredObject, is_valid_key, validate_key,
};
use crate::cache::http::RequestBody;

/// Age after which an incomplete file is deleted, because its writer was probably killed.
const MAX_PARTIAL_AGE: std::time::Duration = std::time::Duration::from_hours(24);
/// Name prefix of incomplete files.
const PARTIAL_PREFIX: &str = ".partial-";

/// A directory as a backend.
#[derive(Debug)]
pub struct DirectoryBackend {
    root: PathBuf,
}

impl DirectoryBackend {
    /// Uses a directory, which is created when the first object is written.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn object_path(&self, key: &str) -> Result<PathBuf, BackendError> {
        validate_key(key)?;
        Ok(self.root.join(key))
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
        let mut file = match fs_err::File::open(self.object_path(key)?) {
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
        let path = self.object_path(key)?;
        let directory = path.parent().unwrap_or(&self.root);
        fs_err::create_dir_all(directory)?;
        let mut file = tempfile::Builder::new().prefix(PARTIAL_PREFIX).tempfile_in(directory)?;
        io::copy(&mut body.into_reader(), &mut file)?;
        // Other users of a shared volume may read the object.
        file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(())
    }

    fn list_objects(&self, prefix: &str) -> Result<Vec<StoredObject>, BackendError> {
        let directory = match prefix.rsplit_once('/') {
            Some((directory, _)) => self.object_path(directory)?,
            None => self.root.clone(),
        };
        if !directory.is_dir() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in WalkDir::new(directory).sort_by_file_name() {
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
        match fs_err::remove_file(self.object_path(key)?) {
            Err(error) if !is_not_found(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

impl DirectoryBackend {
    /// Deletes an old incomplete file.
    fn remove_stale_partial(&self, path: &Path) {
        let is_partial = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PARTIAL_PREFIX));
        let age = || {
            fs_err::metadata(path)
                .and_then(|metadata| metadata.modified())
                .ok()
                .and_then(|written_at| written_at.elapsed().ok())
        };
        if is_partial && path.is_file() && age().is_some_and(|age| age > MAX_PARTIAL_AGE) {
            let _ = fs_err::remove_file(path);
        }
    }
}

fn is_not_found(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
