//! Folders for work in progress that the next process removes when their own was killed.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::Stamp;

/// What the name of every such folder begins with; nothing else is ever removed.
const PREFIX: &str = ".noxide-work-";

/// A folder for work in progress, removed when dropped; its claim dies with the process.
#[derive(Debug)]
pub struct Workspace {
    path: PathBuf,
    _claim: File,
}

impl Workspace {
    /// Makes one in `folder`, which should be on the file system that the work ends on.
    ///
    /// # Errors
    /// When it cannot be made, or the file system has no locks.
    pub fn new(folder: &Path) -> io::Result<Self> {
        fs_err::create_dir_all(folder)?;
        loop {
            let ours = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            let path =
                tempfile::Builder::new().prefix(PREFIX).rand_bytes(12).permissions(ours).tempdir_in(folder)?.keep();
            // A cleaner may take it for a dead one's before it is claimed: then there is another.
            let Ok(claim) = File::open(&path) else { continue };
            flock(&claim, FlockOperation::LockExclusive)?;
            if Stamp::of(&path)
                .is_ok_and(|found| claim.metadata().is_ok_and(|own| Stamp::from(&own).inode == found.inode))
            {
                return Ok(Self { path, _claim: claim });
            }
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what killed processes left in `folder`; gives how many.
    pub fn clear(folder: &Path) -> usize {
        let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
        let ours = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(PREFIX.as_bytes());
        let dead = entries.flatten().filter(|entry| ours(&entry.file_name())).filter(|entry| {
            let Ok(claim) = File::open(entry.path()) else { return false };
            let free = flock(&claim, FlockOperation::NonBlockingLockExclusive).is_ok();
            // Removed under the claim, so that a living process that just made it sees that it is gone.
            free && remove(&entry.path())
        });
        dead.count()
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn remove(path: &Path) -> bool {
    // What cannot be removed now is found by the next process.
    std::fs::remove_dir_all(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_dead_are_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let living = Workspace::new(folder.path()).unwrap();
        fs_err::write(living.path().join("file"), "x").unwrap();
        fs_err::create_dir(folder.path().join(".noxide-work-dead")).unwrap();
        fs_err::write(folder.path().join(".noxide-work-dead/file"), "x").unwrap();
        fs_err::create_dir(folder.path().join("other")).unwrap();
        assert_eq!(Workspace::clear(folder.path()), 1);
        assert!(living.path().join("file").exists() && folder.path().join("other").exists());
        let path = living.path().to_path_buf();
        drop(living);
        assert!(!path.exists());
        assert_eq!(Workspace::clear(&folder.path().join("missing")), 0);
        fs_err::write(folder.path().join("file"), "x").unwrap();
        assert!(Workspace::new(&folder.path().join("file")).is_err());
    }
}
