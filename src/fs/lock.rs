//! Advisory locks that the kernel releases when the process exits, and temporary directories protected by such a lock.

use super::{FileStat, create_dirs, remove_dir_tree};
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::{FlockOperation, OFlags, flock};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A locked file or directory, unlocked when dropped.
///
/// Closing is not enough: a child process shares the descriptor from its fork until it executes its program.
#[derive(Debug)]
pub(crate) struct FlockGuard(File);

impl FlockGuard {
    /// Wraps an open file that the caller has just locked.
    pub(crate) fn new(file: File) -> Self {
        Self(file)
    }
}

impl Drop for FlockGuard {
    fn drop(&mut self) {
        // If this fails, closing the file unlocks it.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// An exclusive advisory lock on a file, held until dropped.
#[derive(Debug)]
pub struct FileLock {
    _guard: FlockGuard,
}

impl FileLock {
    /// Acquires the lock, or returns `None` if a running process holds it.
    ///
    /// # Errors
    /// If the file cannot be opened or created, or the file system does not support locks.
    pub fn try_acquire(path: &Path) -> io::Result<Option<Self>> {
        // Neither creates the target of a link nor waits for the reader of a pipe.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let mut options = fs_err::OpenOptions::new();
        let file: File = options.create(true).truncate(false).write(true).custom_flags(flags).open(path)?.into();
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _guard: FlockGuard::new(file) })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Longest wait for a lock on a directory.
const MAX_LOCK_WAIT: Duration = Duration::from_secs(10);
/// Whether a lock was waited for in vain.
static HAS_WAITED: AtomicBool = AtomicBool::new(false);
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A lock on a directory: shared by its users, exclusive for removing it.
#[derive(Debug)]
pub(crate) struct DirLock {
    guard: FlockGuard,
}

impl DirLock {
    /// Acquires a shared lock, or returns `None` if the directory does not exist (any more). Waits at most ten seconds for
    /// an exclusive lock: whoever may read the directory can hold one for any time.
    ///
    /// # Errors
    /// If the directory cannot be opened, the file system does not support locks, or another process has an exclusive lock.
    pub(crate) fn acquire_shared(path: &Path) -> io::Result<Option<Self>> {
        // One process may have locked every directory: only the first is waited for.
        let max_wait = if HAS_WAITED.load(Ordering::Relaxed) { Duration::ZERO } else { MAX_LOCK_WAIT };
        let lock = Self::acquire_shared_within(path, max_wait);
        if lock.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            HAS_WAITED.store(true, Ordering::Relaxed);
        }
        lock
    }

    fn acquire_shared_within(path: &Path, max_wait: Duration) -> io::Result<Option<Self>> {
        let deadline = Instant::now() + max_wait;
        loop {
            match Self::lock_dir(path, FlockOperation::NonBlockingLockShared)? {
                LockAttempt::Locked(lock) => return Ok(Some(lock)),
                LockAttempt::Missing => return Ok(None),
                LockAttempt::Contended if Instant::now() >= deadline => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "another process has locked it"));
                }
                LockAttempt::Contended => std::thread::sleep(LOCK_POLL_INTERVAL),
            }
        }
    }

    /// Acquires an exclusive lock, or returns `None` if the directory does not exist or is locked.
    ///
    /// # Errors
    /// If the directory cannot be opened, or the file system does not support locks.
    pub(crate) fn try_acquire_exclusive(path: &Path) -> io::Result<Option<Self>> {
        match Self::lock_dir(path, FlockOperation::NonBlockingLockExclusive)? {
            LockAttempt::Locked(lock) => Ok(Some(lock)),
            LockAttempt::Missing | LockAttempt::Contended => Ok(None),
        }
    }

    fn lock_dir(path: &Path, operation: FlockOperation) -> io::Result<LockAttempt> {
        let directory = match File::open(path) {
            Ok(directory) => directory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LockAttempt::Missing),
            Err(error) => return Err(error),
        };
        loop {
            match flock(&directory, operation) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(LockAttempt::Contended),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let lock = Self { guard: FlockGuard::new(directory) };
        // The directory may have been removed or replaced while waiting.
        let inode = FileStat::from(&lock.guard.0.metadata()?).inode;
        let is_same = FileStat::from_path(path).is_ok_and(|found| found.inode == inode);
        Ok(if is_same { LockAttempt::Locked(lock) } else { LockAttempt::Missing })
    }
}

/// Result of an attempt to lock a directory.
enum LockAttempt {
    Locked(DirLock),
    /// It does not exist, or was removed or replaced meanwhile.
    Missing,
    /// Another process has a lock.
    Contended,
}

/// Name prefix of locked temporary directories; only directories with this prefix are removed as stale.
const DIR_PREFIX: &str = ".noxide-work-";
/// Permissions of locked temporary directories. The sticky bit marks them as created by noxide: it is there from the first
/// moment to the last, and neither a checkout nor an archive of one creates it.
const DIR_MODE: u32 = 0o755 | DIR_MARK;
const DIR_MARK: u32 = 0o1_000;
/// Number of directories that are created until one can be locked.
const MAX_CREATE_ATTEMPTS: usize = 100;

/// A locked temporary directory, removed when dropped; if the process is killed, the next one removes it.
#[derive(Debug)]
pub(crate) struct LockedTempDir {
    path: PathBuf,
    _lock: File,
}

impl LockedTempDir {
    /// Creates a temporary directory in `directory`, which should be on the file system that the result is renamed to.
    ///
    /// # Errors
    /// If the directory cannot be created, the file system does not support locks, or another process locks each new
    /// directory first.
    pub(crate) fn create_in(directory: &Path) -> io::Result<Self> {
        create_dirs(directory)?;
        for _ in 0..MAX_CREATE_ATTEMPTS {
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(DIR_MODE);
            let path = tempfile::Builder::new()
                .prefix(DIR_PREFIX)
                .rand_bytes(12)
                .permissions(permissions)
                .tempdir_in(directory)?
                .keep();
            // Another process may consider it stale and remove it before it is locked: try again.
            let Ok(lock) = File::open(&path) else { continue };
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    // It is empty. If this fails, the next process removes it.
                    let _ = fs_err::remove_dir(&path);
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            if FileStat::from_path(&path)
                .is_ok_and(|found| lock.metadata().is_ok_and(|own| FileStat::from(&own).inode == found.inode))
            {
                return Ok(Self { path, _lock: lock });
            }
        }
        let message = format!("another process locks each new directory in {}", directory.display());
        Err(io::Error::new(io::ErrorKind::ResourceBusy, message))
    }

    /// Returns the path of the directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the temporary directories of killed processes of this user from `directory`, and returns their number. Those
    /// without noxide's mark stay: others may use the same names.
    pub(crate) fn remove_stale(directory: &Path) -> usize {
        let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
        let has_prefix = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(DIR_PREFIX.as_bytes());
        let is_dir = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|file_type| file_type.is_dir());
        let candidates = entries.flatten().filter(|entry| has_prefix(&entry.file_name()) && is_dir(entry));
        let stale = candidates.filter(|entry| {
            let Ok(lock) = open_marked_directory(&entry.path()) else { return false };
            let is_unlocked = flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
            // Removed while locked, so that a process that has just created it notices.
            is_unlocked && remove_dir_tree(&entry.path()).is_ok()
        });
        stale.count()
    }
}

/// Opens a directory that belongs to this user and has noxide's mark; a link is not followed.
fn open_marked_directory(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = File::from(rustix::fs::open(path, flags, rustix::fs::Mode::empty())?);
    let stat = FileStat::from(&directory.metadata()?);
    if stat.is_own() && stat.mode & DIR_MARK != 0 { Ok(directory) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

impl Drop for LockedTempDir {
    fn drop(&mut self) {
        // If this fails, the next process removes it.
        let _ = remove_dir_tree(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lock_has_one_holder_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = FileLock::try_acquire(&path).unwrap();
        assert!(FileLock::try_acquire(&path).unwrap().is_none());
        drop(lock);
        assert!(FileLock::try_acquire(&path).unwrap().is_some());
        assert!(FileLock::try_acquire(directory.path()).is_err());
        let (link, target) = (directory.path().join("link"), directory.path().join("target"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(FileLock::try_acquire(&link).is_err() && !target.exists(), "a link is not followed");
    }

    #[test]
    fn an_exclusive_lock_of_another_process_is_an_error_after_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let exclusive = DirLock::try_acquire_exclusive(directory.path()).unwrap().unwrap();
        let error = DirLock::acquire_shared_within(directory.path(), Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(exclusive);
        assert!(DirLock::acquire_shared(directory.path()).unwrap().is_some());
    }

    #[test]
    fn a_released_lock_is_free_even_if_a_child_has_its_descriptor() {
        let directory = tempfile::tempdir().unwrap();
        let lock = DirLock::acquire_shared(directory.path()).unwrap().unwrap();
        // A child that was just forked shares the descriptor.
        let _child_descriptor = lock.guard.0.try_clone().unwrap();
        drop(lock);
        assert!(DirLock::try_acquire_exclusive(directory.path()).unwrap().is_some());
    }

    #[test]
    fn a_directory_lock_is_shared_or_exclusive() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("entry");
        assert!(DirLock::acquire_shared(&path).unwrap().is_none());
        fs_err::create_dir(&path).unwrap();
        let (first, second) = (DirLock::acquire_shared(&path).unwrap(), DirLock::acquire_shared(&path).unwrap());
        assert!(first.is_some() && second.is_some());
        assert!(DirLock::try_acquire_exclusive(&path).unwrap().is_none());
        drop((first, second));
        let exclusive = DirLock::try_acquire_exclusive(&path).unwrap().unwrap();
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || DirLock::acquire_shared(&path).unwrap().is_some()
        });
        fs_err::rename(&path, directory.path().join("gone")).unwrap();
        drop(exclusive);
        assert!(!waiting.join().unwrap(), "a directory removed while waiting is not locked");
    }

    #[test]
    fn only_stale_directories_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let live = LockedTempDir::create_in(directory.path()).unwrap();
        fs_err::write(live.path().join("file"), "x").unwrap();
        let create = |name: &str, mode: u32| {
            let path = directory.path().join(name);
            fs_err::create_dir(&path).unwrap();
            fs_err::write(path.join("file"), "x").unwrap();
            fs_err::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
            path
        };
        let stale = create(".noxide-work-stale", DIR_MODE);
        let kept = [create("other", DIR_MODE), create(".noxide-work-of-a-checkout", 0o755)];
        assert_eq!(LockedTempDir::remove_stale(directory.path()), 1);
        assert!(live.path().join("file").exists() && kept.iter().all(|path| path.exists()) && !stale.exists());
        if rustix::process::geteuid().is_root() {
            let foreign = create(".noxide-work-foreign", DIR_MODE);
            std::os::unix::fs::chown(&foreign, Some(12_347), None).unwrap();
            assert_eq!(LockedTempDir::remove_stale(directory.path()), 0, "of another user");
        }
        let path = live.path().to_path_buf();
        drop(live);
        assert!(!path.exists());
        assert_eq!(LockedTempDir::remove_stale(&directory.path().join("missing")), 0);
        fs_err::write(directory.path().join("file"), "x").unwrap();
        assert!(LockedTempDir::create_in(&directory.path().join("file")).is_err());
    }
}
