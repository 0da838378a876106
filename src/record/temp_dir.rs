//! The folder for a run's temporary files: short, below the system's own, found again by a link in the run's folder.

use std::cell::RefCell;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What a scratch folder's name begins with; a folder of another name is never removed.
const DIR_PREFIX: &str = "nx-";
/// The link in the run's folder.
const LINK_NAME: &str = "tmp";
/// The file in the scratch folder that names its run's folder.
const OWNER_FILE: &str = "owner";
/// Sessions make sockets below their folder, whose paths may have about 100 bytes; they get at least 40 of these.
const MAX_PATH_LEN: usize = 60;

/// The folder for one run's temporary files.
#[derive(Debug)]
pub(crate) struct RunTempDir {
    path: PathBuf,
    run_dir: PathBuf,
    /// Empty folders of sessions that are over. A new one would cost a new inode, and for those that were freed within
    /// the last minutes ext4 looks past one by one: of a run of many short sessions that was a fifth of our own time.
    idle_session_dirs: RefCell<Vec<PathBuf>>,
}

impl RunTempDir {
    /// Makes one below the system's folder for temporary files, only for us, and links it into the run's folder.
    ///
    /// # Errors
    /// When it cannot be made, or its path would be too long or no text.
    pub(crate) fn create(run: &Path) -> io::Result<Self> {
        let run = fs_err::canonicalize(run)?;
        let ours = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let path = tempfile::Builder::new().prefix(DIR_PREFIX).rand_bytes(6).permissions(ours).tempdir()?.keep();
        let scratch = Self { path, run_dir: run, idle_session_dirs: RefCell::default() };
        if scratch.path.as_os_str().len() > MAX_PATH_LEN || scratch.path.to_str().is_none() {
            scratch.remove_with_link()?;
            return Err(io::Error::other(format!("{} is too long a path", scratch.path.display())));
        }
        fs_err::write(scratch.path.join(OWNER_FILE), owner_bytes(&scratch.run_dir))?;
        symlink(&scratch.path, scratch.run_dir.join(LINK_NAME))?;
        Ok(scratch)
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of one session, made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn session_dir(&self, number: usize) -> io::Result<PathBuf> {
        let path = self.path.join(number.to_string());
        if !path.is_dir() {
            let idle = self.idle_session_dirs.borrow_mut().pop();
            if idle.is_none_or(|idle| std::fs::rename(idle, &path).is_err()) {
                fs_err::create_dir_all(&path)?;
            }
        }
        Ok(path)
    }

    /// Takes back the folder of a session that is over and left nothing running; false where it holds something.
    pub(crate) fn recycle_if_empty(&self, folder: &Path) -> bool {
        let empty = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
        if empty {
            self.idle_session_dirs.borrow_mut().push(folder.to_path_buf());
        }
        empty
    }

    /// Removes the folder and the link to it, unless a session's folder is still kept.
    pub(crate) fn remove_if_unused(&self) {
        for idle in self.idle_session_dirs.borrow_mut().drain(..) {
            // One that got something in it since is kept.
            let _ = std::fs::remove_dir(idle);
        }
        let Ok(entries) = fs_err::read_dir(&self.path) else { return };
        if !entries.flatten().any(|entry| entry.path().is_dir()) {
            // What cannot be removed now is removed with the run.
            let _ = self.remove_with_link();
        }
    }

    fn remove_with_link(&self) -> io::Result<()> {
        fs_err::remove_dir_all(&self.path)?;
        match fs_err::remove_file(self.run_dir.join(LINK_NAME)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Removes the scratch folder that a run's folder links to, if it is that run's own.
pub(super) fn remove_run_temp_dir(run: &Path) {
    let Ok(run) = fs_err::canonicalize(run) else { return };
    let Ok(path) = fs_err::read_link(run.join(LINK_NAME)) else { return };
    let named = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(DIR_PREFIX.as_bytes()));
    // A link is only a file that anybody who writes here may make: the folder must say itself whose it is.
    if named && fs_err::read(path.join(OWNER_FILE)).is_ok_and(|said| said == owner_bytes(&run)) {
        // Tried once: the system clears its folder for temporary files too.
        let _ = fs_err::remove_dir_all(&path);
    }
}

fn owner_bytes(run: &Path) -> Vec<u8> {
    run.as_os_str().as_encoded_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remove_session_dir(scratch: &RunTempDir, number: usize) {
        let _ = std::fs::remove_dir_all(scratch.path().join(number.to_string()));
    }

    #[test]
    fn a_folder_for_each_session_gone_when_all_are_cleared() {
        let run = tempfile::tempdir().unwrap();
        let scratch = RunTempDir::create(run.path()).unwrap();
        let first = scratch.session_dir(0).unwrap();
        assert!(first.as_os_str().len() <= MAX_PATH_LEN + 4);
        fs_err::write(first.join("file"), "x").unwrap();
        scratch.session_dir(1).unwrap();
        remove_session_dir(&scratch, 0);
        remove_session_dir(&scratch, 7);
        assert!(!first.exists());
        scratch.remove_if_unused();
        assert_eq!(fs_err::read_link(run.path().join(LINK_NAME)).unwrap(), scratch.path(), "one is kept");
        remove_session_dir(&scratch, 1);
        scratch.remove_if_unused();
        assert!(!scratch.path().exists() && fs_err::read_link(run.path().join(LINK_NAME)).is_err());
        scratch.remove_if_unused();
    }

    #[test]
    fn an_empty_folder_is_the_next_sessions() {
        use std::os::unix::fs::MetadataExt;
        let run = tempfile::tempdir().unwrap();
        let scratch = RunTempDir::create(run.path()).unwrap();
        let inode = |path: &Path| fs_err::metadata(path).unwrap().ino();
        let first = scratch.session_dir(0).unwrap();
        let known = inode(&first);
        assert!(scratch.recycle_if_empty(&first));
        let second = scratch.session_dir(1).unwrap();
        assert_eq!(inode(&second), known, "the same folder by another name");
        assert!(second.ends_with("1") && !first.exists());
        fs_err::write(second.join("left"), "x").unwrap();
        assert!(!scratch.recycle_if_empty(&second) && scratch.session_dir(2).unwrap().is_dir());
        assert!(scratch.recycle_if_empty(&scratch.session_dir(2).unwrap()));
        scratch.remove_if_unused();
        assert!(second.join("left").exists() && !scratch.path().join("2").exists());
        remove_session_dir(&scratch, 1);
        scratch.remove_if_unused();
        assert!(!scratch.path().exists());
    }

    #[test]
    fn only_a_runs_own_folder_goes_with_it() {
        let (run, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let scratch = RunTempDir::create(run.path()).unwrap();
        scratch.session_dir(3).unwrap();
        symlink(scratch.path(), other.path().join(LINK_NAME)).unwrap();
        remove_run_temp_dir(other.path());
        assert!(scratch.path().exists(), "a link in another run's folder");
        remove_run_temp_dir(&other.path().join("missing"));
        remove_run_temp_dir(run.path());
        assert!(!scratch.path().exists());
        remove_run_temp_dir(run.path());
    }

    #[test]
    fn no_folder_without_a_run() {
        assert!(RunTempDir::create(Path::new("/nonexistent")).is_err());
    }
}
