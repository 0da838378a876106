//! The folder for a run's temporary files: short, below the system's own, found again by a link in the run's folder.

use std::cell::RefCell;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What a scratch folder's name begins with; a folder of another name is never removed.
const PREFIX: &str = "nx-";
/// The link in the run's folder.
const LINK: &str = "tmp";
/// The file in the scratch folder that names its run's folder.
const OWNER: &str = "owner";
/// Sessions make sockets below their folder, whose paths may have about 100 bytes; they get at least 40 of these.
const LONGEST: usize = 60;

/// The folder for one run's temporary files.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    run: PathBuf,
    /// Empty folders of sessions that are over. A new one would cost a new inode, and for those that were freed within
    /// the last minutes ext4 looks past one by one: of a run of many short sessions that was a fifth of our own time.
    idle: RefCell<Vec<PathBuf>>,
}

impl Scratch {
    /// Makes one below the system's folder for temporary files, only for us, and links it into the run's folder.
    ///
    /// # Errors
    /// When it cannot be made, or its path would be too long or no text.
    pub fn make(run: &Path) -> io::Result<Self> {
        let run = fs_err::canonicalize(run)?;
        let ours = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let path = tempfile::Builder::new().prefix(PREFIX).rand_bytes(6).permissions(ours).tempdir()?.keep();
        let scratch = Self { path, run, idle: RefCell::default() };
        if scratch.path.as_os_str().len() > LONGEST || scratch.path.to_str().is_none() {
            scratch.remove()?;
            return Err(io::Error::other(format!("{} is too long a path", scratch.path.display())));
        }
        fs_err::write(scratch.path.join(OWNER), owner(&scratch.run))?;
        symlink(&scratch.path, scratch.run.join(LINK))?;
        Ok(scratch)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of one session, made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn session(&self, number: usize) -> io::Result<PathBuf> {
        let path = self.path.join(number.to_string());
        if !path.is_dir() {
            let idle = self.idle.borrow_mut().pop();
            if idle.is_none_or(|idle| std::fs::rename(idle, &path).is_err()) {
                fs_err::create_dir_all(&path)?;
            }
        }
        Ok(path)
    }

    /// Takes back the folder of a session that is over and left nothing running; false where it holds something.
    pub fn take_back(&self, folder: &Path) -> bool {
        let empty = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
        if empty {
            self.idle.borrow_mut().push(folder.to_path_buf());
        }
        empty
    }

    /// Removes one session's folder with all in it.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn clear(&self, number: usize) -> io::Result<()> {
        match fs_err::remove_dir_all(self.path.join(number.to_string())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes the folder and the link to it, unless a session's folder is still kept.
    pub fn close(&self) {
        for idle in self.idle.borrow_mut().drain(..) {
            // One that got something in it since is kept.
            let _ = std::fs::remove_dir(idle);
        }
        let Ok(entries) = fs_err::read_dir(&self.path) else { return };
        if !entries.flatten().any(|entry| entry.path().is_dir()) {
            // What cannot be removed now is removed with the run.
            let _ = self.remove();
        }
    }

    fn remove(&self) -> io::Result<()> {
        fs_err::remove_dir_all(&self.path)?;
        match fs_err::remove_file(self.run.join(LINK)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Removes the scratch folder that a run's folder links to, if it is that run's own.
pub(super) fn remove_scratch(run: &Path) {
    let Ok(run) = fs_err::canonicalize(run) else { return };
    let Ok(path) = fs_err::read_link(run.join(LINK)) else { return };
    let named = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    // A link is only a file that anybody who writes here may make: the folder must say itself whose it is.
    if named && fs_err::read(path.join(OWNER)).is_ok_and(|said| said == owner(&run)) {
        // Tried once: the system clears its folder for temporary files too.
        let _ = fs_err::remove_dir_all(&path);
    }
}

fn owner(run: &Path) -> Vec<u8> {
    run.as_os_str().as_encoded_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_for_each_session_gone_when_all_are_cleared() {
        let run = tempfile::tempdir().unwrap();
        let scratch = Scratch::make(run.path()).unwrap();
        let first = scratch.session(0).unwrap();
        assert!(first.as_os_str().len() <= LONGEST + 4);
        fs_err::write(first.join("file"), "x").unwrap();
        scratch.session(1).unwrap();
        scratch.clear(0).unwrap();
        scratch.clear(7).unwrap();
        assert!(!first.exists());
        scratch.close();
        assert_eq!(fs_err::read_link(run.path().join(LINK)).unwrap(), scratch.path(), "one is kept");
        scratch.clear(1).unwrap();
        scratch.close();
        assert!(!scratch.path().exists() && fs_err::read_link(run.path().join(LINK)).is_err());
        scratch.close();
    }

    #[test]
    fn an_empty_folder_is_the_next_sessions() {
        use std::os::unix::fs::MetadataExt;
        let run = tempfile::tempdir().unwrap();
        let scratch = Scratch::make(run.path()).unwrap();
        let inode = |path: &Path| fs_err::metadata(path).unwrap().ino();
        let first = scratch.session(0).unwrap();
        let known = inode(&first);
        assert!(scratch.take_back(&first));
        let second = scratch.session(1).unwrap();
        assert_eq!(inode(&second), known, "the same folder by another name");
        assert!(second.ends_with("1") && !first.exists());
        fs_err::write(second.join("left"), "x").unwrap();
        assert!(!scratch.take_back(&second) && scratch.session(2).unwrap().is_dir());
        assert!(scratch.take_back(&scratch.session(2).unwrap()));
        scratch.close();
        assert!(second.join("left").exists() && !scratch.path().join("2").exists());
        scratch.clear(1).unwrap();
        scratch.close();
        assert!(!scratch.path().exists());
    }

    #[test]
    fn only_a_runs_own_folder_goes_with_it() {
        let (run, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let scratch = Scratch::make(run.path()).unwrap();
        scratch.session(3).unwrap();
        symlink(scratch.path(), other.path().join(LINK)).unwrap();
        remove_scratch(other.path());
        assert!(scratch.path().exists(), "a link in another run's folder");
        remove_scratch(&other.path().join("missing"));
        remove_scratch(run.path());
        assert!(!scratch.path().exists());
        remove_scratch(run.path());
    }

    #[test]
    fn no_folder_without_a_run() {
        assert!(Scratch::make(Path::new("/nonexistent")).is_err());
    }
}
