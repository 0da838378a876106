//! A folder as a backend: on a mounted volume, or any path.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::cache::backend::{Abilities, Backend, BackendError, Object, check_key, is_key};
use crate::cache::http::Payload;

/// How long a temporary file of a killed writer stays.
const STALE: std::time::Duration = std::time::Duration::from_hours(24);
/// How names of files begin that are not yet whole.
const PARTIAL: &str = ".partial-";

/// A folder as a backend.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// A folder; it is made when the first object is written.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn place(&self, key: &str) -> Result<PathBuf, BackendError> {
        check_key(key)?;
        Ok(self.root.join(key))
    }
}

impl Backend for Directory {
    fn title(&self) -> String {
        self.root.display().to_string()
    }

    fn abilities(&self) -> Abilities {
        Abilities { reads: true, writes: true, lists: true, deletes: true }
    }

    fn get(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, BackendError> {
        let mut file = match fs_err::File::open(self.place(key)?) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        file.seek(SeekFrom::Start(range.start))?;
        let mut bytes = Vec::new();
        file.take(range.end.saturating_sub(range.start)).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn put(&self, key: &str, payload: Payload<'_>) -> Result<(), BackendError> {
        let place = self.place(key)?;
        let folder = place.parent().unwrap_or(&self.root);
        fs_err::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(PARTIAL).tempfile_in(folder)?;
        io::copy(&mut payload.reader(), &mut file)?;
        // Other users of a shared volume may read it.
        file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.persist(&place).map_err(|error| error.error)?;
        Ok(())
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>, BackendError> {
        let folder = match prefix.rsplit_once('/') {
            Some((folder, _)) => self.place(folder)?,
            None => self.root.clone(),
        };
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in WalkDir::new(folder).sort_by_file_name() {
            let entry = match entry {
                Ok(entry) => entry,
                // Removed by somebody else while we look.
                Err(error) if error.io_error().is_some_and(is_absent) => continue,
                Err(error) => return Err(io::Error::from(error).into()),
            };
            if !entry.file_type().is_file() || entry.file_name().to_string_lossy().starts_with(PARTIAL) {
                self.sweep(entry.path());
                continue;
            }
            let key = entry.path().strip_prefix(&self.root).ok().and_then(Path::to_str).unwrap_or_default();
            if key.starts_with(prefix) && is_key(key) {
                let changed = entry.metadata().ok().and_then(|facts| facts.modified().ok());
                let since = changed.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
                let time = since.and_then(|since| i64::try_from(since.as_secs()).ok());
                found.push(Object { key: key.to_owned(), time });
            }
        }
        found.sort_by(|one, other| (other.time, &other.key).cmp(&(one.time, &one.key)));
        Ok(found)
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        match fs_err::remove_file(self.place(key)?) {
            Err(error) if !is_absent(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

impl Directory {
    /// Removes what a killed writer left long ago.
    fn sweep(&self, path: &Path) {
        let partial = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PARTIAL));
        let old =
            || fs_err::metadata(path).and_then(|facts| facts.modified()).ok().and_then(|time| time.elapsed().ok());
        if partial && path.is_file() && old().is_some_and(|age| age > STALE) {
            let _ = fs_err::remove_file(path);
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
