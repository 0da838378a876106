//! Advisory locks that the kernel releases when the process exits, and temporary directories held by such a lock.

use super::FileStat;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A file or folder with a lock on it, given up when dropped.
///
/// Closing alone does not do: a child of ours has the descriptor too from its fork until it runs its program.
#[derive(Debug)]
pub(crate) struct FlockGuard(File);

impl FlockGuard {
    /// Takes over an open file on which the caller has just taken a lock.
    pub(crate) fn new(file: File) -> Self {
        Self(file)
    }
}

impl Drop for FlockGuard {
    fn drop(&mut self) {
        // Where it fails, closing does it.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// An exclusive advisory lock on a file, held until dropped.
#[derive(Debug)]
pub struct FileLock {
    _guard: FlockGuard,
}

impl FileLock {
    /// Takes the claim if nobody living holds it; `None` where somebody does.
    ///
    /// # Errors
    /// When the file cannot be opened or created, or the file system has no locks.
    pub fn try_acquire(path: &Path) -> io::Result<Option<Self>> {
        let file: File = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(path)?.into();
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _guard: FlockGuard::new(file) })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// A folder held so that nobody takes it away: many may hold it, and who wants it gone waits or lets it be.
#[derive(Debug)]
pub(crate) struct DirLock {
    guard: FlockGuard,
}

impl DirLock {
    /// Holds a folder together with others; `None` where there is none (any more).
    ///
    /// # Errors
    /// When it cannot be opened, or the file system has no locks.
    pub(crate) fn acquire_shared(path: &Path) -> io::Result<Option<Self>> {
        Self::lock_dir(path, FlockOperation::LockShared)
    }

    /// Holds a folder alone; `None` where there is none, or others hold it.
    ///
    /// # Errors
    /// As [`DirLock::acquire_shared`].
    pub(crate) fn try_acquire_exclusive(path: &Path) -> io::Result<Option<Self>> {
        Self::lock_dir(path, FlockOperation::NonBlockingLockExclusive)
    }

    fn lock_dir(path: &Path, how: FlockOperation) -> io::Result<Option<Self>> {
        let folder = match File::open(path) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        loop {
            match flock(&folder, how) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let held = Self { guard: FlockGuard::new(folder) };
        // It may have been taken away, or replaced, while we waited for it.
        let inode = FileStat::from(&held.guard.0.metadata()?).inode;
        let still = FileStat::from_path(path).is_ok_and(|found| found.inode == inode);
        Ok(still.then_some(held))
    }
}

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
    fn one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("claim");
        let held = FileLock::try_acquire(&path).unwrap();
        assert!(FileLock::try_acquire(&path).unwrap().is_none());
        drop(held);
        assert!(FileLock::try_acquire(&path).unwrap().is_some());
        assert!(FileLock::try_acquire(folder.path()).is_err());
    }

    #[test]
    fn what_is_given_up_is_free_whoever_has_its_descriptor_still() {
        let folder = tempfile::tempdir().unwrap();
        let lease = DirLock::acquire_shared(folder.path()).unwrap().unwrap();
        // As a child has it that was forked just now.
        let _of_child = lease.guard.0.try_clone().unwrap();
        drop(lease);
        assert!(DirLock::try_acquire_exclusive(folder.path()).unwrap().is_some());
    }

    #[test]
    fn a_folder_is_held_by_many_or_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("entry");
        assert!(DirLock::acquire_shared(&path).unwrap().is_none());
        fs_err::create_dir(&path).unwrap();
        let (first, second) = (DirLock::acquire_shared(&path).unwrap(), DirLock::acquire_shared(&path).unwrap());
        assert!(first.is_some() && second.is_some());
        assert!(DirLock::try_acquire_exclusive(&path).unwrap().is_none());
        drop((first, second));
        let alone = DirLock::try_acquire_exclusive(&path).unwrap().unwrap();
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || DirLock::acquire_shared(&path).unwrap().is_some()
        });
        fs_err::rename(&path, folder.path().join("gone")).unwrap();
        drop(alone);
        assert!(!waiting.join().unwrap(), "what was taken away meanwhile is not held");
    }

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
