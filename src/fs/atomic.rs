//! Atomic file writes, and renames into place.

use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Writes `bytes` to `path` so that a reader sees either the old content or the new one.
///
/// The bytes are written to a temporary file in the same directory, synced, and renamed to `path`. A device or
/// pipe in `/dev`, such as `/dev/null`, is written to and not replaced.
///
/// # Errors
/// An I/O error that names the path. The old content is then unchanged and no temporary file remains.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if is_device_path(path) {
        let written = std::fs::OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(bytes));
        return written
            .map_err(|error| io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display())));
    }
    // Other users may read records and settings, as far as the umask allows, so use the mode of an ordinary file, not 0600.
    write_with_permissions(path, bytes, std::os::unix::fs::PermissionsExt::from_mode(0o644), false)
}

/// Returns whether a path as the user wrote it names a character device or a pipe in `/dev`. A link outside of `/dev` is replaced like
/// any file, because it may have come with a repository.
fn is_device_path(path: &Path) -> bool {
    let is_plain = path.components().all(|part| !matches!(part, std::path::Component::ParentDir));
    path.starts_with("/dev")
        && is_plain
        && std::fs::metadata(path).is_ok_and(|found| found.file_type().is_char_device() || found.file_type().is_fifo())
}

/// Replaces the content of an existing file atomically. Its mode stays, and a symbolic link stays a link.
///
/// # Errors
/// An I/O error that names the path. The old content is then unchanged and no temporary file remains.
pub(crate) fn replace_content(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = fs_err::canonicalize(path)?;
    write_with_permissions(&target, bytes, fs_err::metadata(&target)?.permissions(), true)
}

/// Writes a file with these permissions, `exactly` or limited by the umask.
fn write_with_permissions(
    path: &Path,
    bytes: &[u8],
    permissions: std::fs::Permissions,
    exactly: bool,
) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let add_path = |error: io::Error| io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()));
    let mut builder = tempfile::Builder::new();
    let created = builder.prefix(".noxide-").permissions(permissions.clone()).tempfile_in(&directory);
    let mut file = created.map_err(add_path)?;
    file.write_all(bytes).map_err(add_path)?;
    if exactly {
        file.as_file().set_permissions(permissions).map_err(add_path)?;
    }
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

/// Creates a directory and its parents, none of them writable by other users, whatever the umask is.
///
/// # Errors
/// If a directory cannot be created.
pub(crate) fn create_dirs(path: &Path) -> io::Result<()> {
    let created = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
    created.map_err(|error| io::Error::new(error.kind(), format!("cannot create {}: {error}", path.display())))
}

/// Writes a new file that no other user can write to, whatever the umask is.
///
/// # Errors
/// If it exists or cannot be written.
pub(crate) fn write_new_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let written =
        options.write(true).create_new(true).mode(0o644).open(path).and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display())))
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
    fn replaced_content_keeps_the_mode_and_the_link() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("a.yml"), directory.path().join("b.yml"));
        fs_err::write(&path, "one").unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        fs_err::os::unix::fs::symlink("a.yml", &link).unwrap();
        replace_content(&link, b"two").unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"two");
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
        assert!(fs_err::symlink_metadata(&link).unwrap().is_symlink());
        assert!(replace_content(&directory.path().join("none"), b"x").is_err());
    }

    #[test]
    fn a_device_is_written_to_and_a_link_to_one_is_replaced() {
        write_atomic(Path::new("/dev/null"), b"text").unwrap();
        assert!(fs_err::metadata("/dev/null").unwrap().file_type().is_char_device());
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("null");
        fs_err::os::unix::fs::symlink("/dev/null", &link).unwrap();
        write_atomic(&link, b"text").unwrap();
        assert!(fs_err::symlink_metadata(&link).unwrap().is_file());
    }

    #[test]
    fn an_error_names_the_path() {
        let error = write_atomic(Path::new("/nonexistent-directory/a.json"), b"x").unwrap_err();
        assert!(error.to_string().contains("/nonexistent-directory/a.json"), "{error}");
        assert!(write_atomic(Path::new(""), b"x").is_err());
    }
}
