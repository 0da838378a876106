//! Folders for work in progress that the next process removes when their own was killed.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::FileStat;

/// What the name of every such folder begins with; nothing else is ever removed.
const DIR_PREFIX: &str = ".noxide-work-";

/// A folder for work in progress, removed when dropped; its claim dies with the process.
#[derive(Debug)]
pub(crate) struct LockedTempDir {
    path: PathBuf,
    _lock: File,
}

impl LockedTempDir {
    /// Makes one in `folder`, which should be on the file system that the work ends on.
    ///
    /// # Errors
    /// When it cannot be made, or the file system has no locks.
    pub(crate) fn create_in(folder: &Path) -> io::Result<Self> {
        fs_err::create_dir_all(folder)?;
        loop {
            let ours = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            let path =
                tempfile::Builder::new().prefix(DIR_PREFIX).rand_bytes(12).permissions(ours).tempdir_in(folder)?.keep();
            // A cleaner may take it for a dead one's before it is claimed: then there is another.
            let Ok(claim) = File::open(&path) else { continue };
            flock(&claim, FlockOperation::LockExclusive)?;
            if FileStat::from_path(&path)
                .is_ok_and(|found| claim.metadata().is_ok_and(|own| FileStat::from(&own).inode == found.inode))
            {
                return Ok(Self { path, _lock: claim });
            }
        }
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what killed processes left in `folder`; gives how many.
    pub(crate) fn remove_stale(folder: &Path) -> usize {
        let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
        let ours = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(DIR_PREFIX.as_bytes());
        let dead = entries.flatten().filter(|entry| ours(&entry.file_name())).filter(|entry| {
            let Ok(claim) = File::open(entry.path()) else { return false };
            let free = flock(&claim, FlockOperation::NonBlockingLockExclusive).is_ok();
            // Removed under the claim, so that a living process that just made it sees that it is gone.
            free && remove_tree(&entry.path())
        });
        dead.count()
    }
}

impl Drop for LockedTempDir {
    fn drop(&mut self) {
        remove_tree(&self.path);
    }
}

fn remove_tree(path: &Path) -> bool {
    // What cannot be removed now is found by the next process.
    std::fs::remove_dir_all(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_dead_are_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let living = LockedTempDir::create_in(folder.path()).unwrap();
        fs_err::write(living.path().join("file"), "x").unwrap();
        fs_err::create_dir(folder.path().join(".noxide-work-dead")).unwrap();
        fs_err::write(folder.path().join(".noxide-work-dead/file"), "x").unwrap();
        fs_err::create_dir(folder.path().join("other")).unwrap();
        assert_eq!(LockedTempDir::remove_stale(folder.path()), 1);
        assert!(living.path().join("file").exists() && folder.path().join("other").exists());
        let path = living.path().to_path_buf();
        drop(living);
        assert!(!path.exists());
        assert_eq!(LockedTempDir::remove_stale(&folder.path().join("missing")), 0);
        fs_err::write(folder.path().join("file"), "x").unwrap();
        assert!(LockedTempDir::create_in(&folder.path().join("file")).is_err());
    }
}
