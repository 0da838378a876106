//! Atomic file writes, and renames into place.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` to `path` so that a reader sees either the old content or the new one.
///
/// The bytes are written to a temporary file in the same directory, synced, and renamed to `path`.
///
/// # Errors
/// An I/O error that names the path. The old content is then unchanged and no temporary file remains.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let add_path = |error: io::Error| io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()));
    let mut file = tempfile::Builder::new().prefix(".noxide-").tempfile_in(&directory).map_err(add_path)?;
    file.write_all(bytes).map_err(add_path)?;
    // Other users may read records and settings, so use the mode of an ordinary file, not 0600.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(mode).map_err(add_path)?;
    file.as_file().sync_all().map_err(add_path)?;
    file.persist(path).map_err(|error| add_path(error.error))?;
    Ok(())
}

/// Creates the parent directories of a path.
///
/// # Errors
/// If a directory cannot be created.
pub(crate) fn create_parent_dir(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs_err::create_dir_all)
}

/// Returns whether renaming a directory failed because the target exists and is not empty.
pub(crate) fn is_rename_target_occupied(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_replaces_the_content_and_leaves_no_temporary_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"two");
        assert_eq!(fs_err::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_error_names_the_path() {
        let error = write_atomic(Path::new("/nonexistent-folder/a.json"), b"x").unwrap_err();
        assert!(error.to_string().contains("/nonexistent-folder/a.json"), "{error}");
        assert!(write_atomic(Path::new(""), b"x").is_err());
    }
}
