//! Files that appear whole or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` to `path` so that a reader sees the old content or the new, never a part.
///
/// The bytes go to a temporary file in the same folder, are synced, and take the name by rename.
///
/// # Errors
/// Whatever the file system says, naming the path; the old content is then untouched and no temporary is left.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()));
    let mut file = tempfile::Builder::new().prefix(".noxide-").tempfile_in(&folder).map_err(named)?;
    file.write_all(bytes).map_err(named)?;
    // Others of the same machine read records and settings: the mode of an ordinary file, not the temporary's 0600.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(mode).map_err(named)?;
    file.as_file().sync_all().map_err(named)?;
    file.persist(path).map_err(|error| named(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_leaves_no_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"two");
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_error_names_the_path() {
        let error = write_atomic(Path::new("/nonexistent-folder/a.json"), b"x").unwrap_err();
        assert!(error.to_string().contains("/nonexistent-folder/a.json"), "{error}");
        assert!(write_atomic(Path::new(""), b"x").is_err());
    }
}
