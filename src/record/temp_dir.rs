//! Temporary directory of a run: a short path below the system's temporary directory, named in the run directory.
//!
//! It is named in a file and not linked, because a link would lead programs that walk the project out of it.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use crate::fs::{is_private_dir, read_regular_file, remove_dir_tree};

/// Prefix of the directory's name; a directory with another name is never removed.
const DIR_PREFIX: &str = "nx-";
/// The file in the run directory that has the path.
const PATH_FILE: &str = "temporary-directory";
/// The file in the temporary directory that names its run directory.
const OWNER_FILE: &str = "owner";
/// Maximum size of these files in bytes: the longest path.
const MAX_PATH_FILE_BYTES: u64 = 4_096;
/// Sessions create sockets below their directory, whose paths are limited to about 100 bytes; at least 40 are left to
/// them.
const MAX_PATH_LEN: usize = 60;

/// The temporary directory of one run.
#[derive(Debug)]
pub(crate) struct RunTempDir {
    path: PathBuf,
    run_dir: PathBuf,
    /// Empty directories of finished sessions, for later sessions. Creating one allocates an inode, for which ext4 scans past
    /// those freed in the last minutes; in a run of many short sessions this took a fifth of noxide's own CPU time.
    recycled_session_dirs: RefCell<Vec<PathBuf>>,
}

impl RunTempDir {
    /// Creates the directory below the system's temporary directory, private to this user, and writes its path to the
    /// run directory.
    ///
    /// # Errors
    /// When it cannot be created, or its path is too long or not UTF-8.
    pub(crate) fn create(run_dir: &Path) -> io::Result<Self> {
        let run_dir = fs_err::canonicalize(run_dir)?;
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let path = tempfile::Builder::new().prefix(DIR_PREFIX).rand_bytes(6).permissions(private).tempdir()?.keep();
        let temp_dir = Self { path, run_dir, recycled_session_dirs: RefCell::default() };
        if temp_dir.path.as_os_str().len() > MAX_PATH_LEN || temp_dir.path.to_str().is_none() {
            temp_dir.remove_with_path_file()?;
            return Err(io::Error::other(format!("the path {} is too long", temp_dir.path.display())));
        }
        fs_err::write(temp_dir.path.join(OWNER_FILE), path_bytes(&temp_dir.run_dir))?;
        fs_err::write(temp_dir.run_dir.join(PATH_FILE), path_bytes(&temp_dir.path))?;
        Ok(temp_dir)
    }

    /// Returns the path of the directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the directory of one session and creates it if needed.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(crate) fn session_dir(&self, number: usize) -> io::Result<PathBuf> {
        let path = self.path.join(number.to_string());
        if !path.is_dir() {
            let idle = self.recycled_session_dirs.borrow_mut().pop();
            if idle.is_none_or(|idle| std::fs::rename(idle, &path).is_err()) {
                fs_err::create_dir_all(&path)?;
            }
        }
        Ok(path)
    }

    /// Recycles the directory of a finished session that left nothing running; returns false if it is not empty.
    pub(crate) fn recycle_if_empty(&self, dir: &Path) -> bool {
        let empty = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
        if empty {
            self.recycled_session_dirs.borrow_mut().push(dir.to_path_buf());
        }
        empty
    }

    /// Removes the directory and the file that names it, unless a session's directory still exists.
    pub(crate) fn remove_if_unused(&self) {
        for idle in self.recycled_session_dirs.borrow_mut().drain(..) {
            // A directory that is not empty any more stays.
            let _ = std::fs::remove_dir(idle);
        }
        let Ok(entries) = fs_err::read_dir(&self.path) else { return };
        if !entries.flatten().any(|entry| entry.path().is_dir()) {
            // If this fails, it is removed with the run.
            let _ = self.remove_with_path_file();
        }
    }

    fn remove_with_path_file(&self) -> io::Result<()> {
        remove_dir_tree(&self.path)?;
        match fs_err::remove_file(self.run_dir.join(PATH_FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Removes the temporary directory that a run directory names, if it belongs to that run.
pub(super) fn remove_run_temp_dir(run_dir: &Path) {
    let Ok(run) = fs_err::canonicalize(run_dir) else { return };
    let Ok(bytes) = read_regular_file(&run.join(PATH_FILE), MAX_PATH_FILE_BYTES) else { return };
    let path = PathBuf::from(OsString::from_vec(bytes));
    let named = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(DIR_PREFIX.as_bytes()));
    // Anyone who can write here can create the file, so the directory itself must name its owner.
    if named
        && is_private_dir(&path)
        && read_regular_file(&path.join(OWNER_FILE), MAX_PATH_FILE_BYTES).is_ok_and(|owner| owner == path_bytes(&run))
    {
        // Tried once: the system also cleans its temporary directory.
        let _ = remove_dir_tree(&path);
    }
}

fn path_bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_encoded_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remove_session_dir(temp_dir: &RunTempDir, number: usize) {
        let _ = std::fs::remove_dir_all(temp_dir.path().join(number.to_string()));
    }

    #[test]
    fn session_directories_are_removed_with_the_last_one() {
        let run = tempfile::tempdir().unwrap();
        let temp_dir = RunTempDir::create(run.path()).unwrap();
        let first = temp_dir.session_dir(0).unwrap();
        assert!(first.as_os_str().len() <= MAX_PATH_LEN + 4);
        fs_err::write(first.join("file"), "x").unwrap();
        temp_dir.session_dir(1).unwrap();
        remove_session_dir(&temp_dir, 0);
        remove_session_dir(&temp_dir, 7);
        assert!(!first.exists());
        temp_dir.remove_if_unused();
        assert_eq!(
            fs_err::read(run.path().join(PATH_FILE)).unwrap(),
            path_bytes(temp_dir.path()),
            "one session directory is left"
        );
        remove_session_dir(&temp_dir, 1);
        temp_dir.remove_if_unused();
        assert!(!temp_dir.path().exists() && !run.path().join(PATH_FILE).exists());
        temp_dir.remove_if_unused();
    }

    #[test]
    fn an_empty_directory_is_reused_by_the_next_session() {
        use std::os::unix::fs::MetadataExt;
        let run = tempfile::tempdir().unwrap();
        let temp_dir = RunTempDir::create(run.path()).unwrap();
        let inode = |path: &Path| fs_err::metadata(path).unwrap().ino();
        let first = temp_dir.session_dir(0).unwrap();
        let known = inode(&first);
        assert!(temp_dir.recycle_if_empty(&first));
        let second = temp_dir.session_dir(1).unwrap();
        assert_eq!(inode(&second), known, "the same directory by another name");
        assert!(second.ends_with("1") && !first.exists());
        fs_err::write(second.join("left"), "x").unwrap();
        assert!(!temp_dir.recycle_if_empty(&second) && temp_dir.session_dir(2).unwrap().is_dir());
        assert!(temp_dir.recycle_if_empty(&temp_dir.session_dir(2).unwrap()));
        temp_dir.remove_if_unused();
        assert!(second.join("left").exists() && !temp_dir.path().join("2").exists());
        remove_session_dir(&temp_dir, 1);
        temp_dir.remove_if_unused();
        assert!(!temp_dir.path().exists());
    }

    #[test]
    fn only_the_runs_own_directory_is_removed() {
        let (run, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let temp_dir = RunTempDir::create(run.path()).unwrap();
        temp_dir.session_dir(3).unwrap();
        fs_err::copy(run.path().join(PATH_FILE), other.path().join(PATH_FILE)).unwrap();
        remove_run_temp_dir(other.path());
        assert!(temp_dir.path().exists(), "it is named in another run directory");
        remove_run_temp_dir(&other.path().join("missing"));
        remove_run_temp_dir(run.path());
        assert!(!temp_dir.path().exists());
        remove_run_temp_dir(run.path());
    }

    #[test]
    fn a_missing_run_directory_is_an_error() {
        assert!(RunTempDir::create(Path::new("/nonexistent")).is_err());
    }
}
