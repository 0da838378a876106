//! A directory as a backend, for example on a mounted volume.

use std::ffi::OsStr;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use crate::cache::backend::{
    BackendCapabilities, BackendError, CacheBackend, StoredObject, is_valid_key, validate_key,
};
use crate::cache::http::RequestBody;
use crate::fs::RootDir;

/// Age in seconds after which an incomplete file is deleted, because its writer was probably killed.
const MAX_PARTIAL_SECONDS: i64 = 24 * 60 * 60;
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
        let first = match prefix.rsplit_once('/') {
            Some((directory, _)) => {
                validate_key(directory)?;
                Some(PathBuf::from(directory))
            }
            None => None,
        };
        let mut found = Vec::new();
        let mut pending = vec![(first, 0)];
        let mut visited_count = 0;
        // Others may exchange a directory with a link at any time: each one is opened beneath the root.
        while let Some((directory, depth)) = pending.pop() {
            let entries = match root.list_dir(directory.as_deref(), MAX_LISTED_FILES - visited_count) {
                Ok(entries) => entries,
                // A link, or deleted by another process meanwhile.
                Err(_) if !directory.as_deref().is_none_or(|directory| root.is_dir(directory)) => continue,
                Err(error) => return Err(error.into()),
            };
            for entry in entries {
                if visited_count == MAX_LISTED_FILES {
                    pending.clear();
                    break;
                }
                visited_count += 1;
                let path = directory.as_deref().unwrap_or(Path::new("")).join(&entry.name);
                match entry.file_type {
                    FileType::Directory if depth < MAX_LISTED_DEPTH => pending.push((Some(path), depth + 1)),
                    FileType::RegularFile if is_partial(&entry.name) => {
                        let is_old = seconds_since(entry.modified_seconds) > MAX_PARTIAL_SECONDS;
                        let _ = is_old.then(|| root.remove_file(&path));
                    }
                    FileType::RegularFile => {
                        let key = path.to_str().unwrap_or_default();
                        if key.starts_with(prefix) && is_valid_key(key) {
                            let written_at = Some(entry.modified_seconds);
                            found.push(StoredObject { key: key.to_owned(), written_at });
                        }
                    }
                    _ => {}
                }
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

/// Whether a file is incomplete.
fn is_partial(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(PARTIAL_PREFIX.as_bytes())
}

/// Returns the seconds since a time; negative if it is in the future.
fn seconds_since(time: i64) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX) - time
}

fn is_not_found(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
