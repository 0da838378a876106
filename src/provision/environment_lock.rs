//! Environment lock: noxide processes in one project use an environment one after the other.
//!
//! Without it, one run would delete an environment and create it again while another uses it.

use std::io;
use std::path::{Path, PathBuf};

use crate::fs::FileLock;
use crate::project::RUN_DATA_DIR;

/// The exclusive lock of one environment, released when dropped.
#[derive(Debug)]
pub(crate) struct EnvironmentLock {
    _lock: FileLock,
}

impl EnvironmentLock {
    /// Acquires the lock of an environment, or returns `None` if it is held, by another process or by this one.
    ///
    /// # Errors
    /// When the file cannot be created, or the file system does not support locks.
    pub(crate) fn try_acquire(environment: &Path) -> io::Result<Option<Self>> {
        let path = lock_path(environment);
        fs_err::create_dir_all(path.parent().unwrap_or(&path))?;
        Ok(FileLock::try_acquire(&path)?.map(|lock| Self { _lock: lock }))
    }

    /// Acquires the lock for a run, whose identifier is stored as that of the environment's last user.
    ///
    /// # Errors
    /// As [`EnvironmentLock::try_acquire`].
    pub(crate) fn try_acquire_for_run(environment: &Path, run_id: &str) -> io::Result<Option<Self>> {
        let lock = Self::try_acquire(environment)?;
        if lock.is_some() {
            fs_err::write(lock_path(environment), run_id)?;
        }
        Ok(lock)
    }

    /// Returns the run that uses or last used an environment; empty if there is none.
    pub(crate) fn last_run_id(environment: &Path) -> String {
        fs_err::read_to_string(lock_path(environment)).unwrap_or_default()
    }
}

fn lock_path(environment: &Path) -> PathBuf {
    let mut name = environment.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    environment.with_file_name(RUN_DATA_DIR).join("locks").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_has_one_user_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("one.lock"));
        assert_eq!(EnvironmentLock::last_run_id(&one), "");
        let held = EnvironmentLock::try_acquire_for_run(&one, "run 1").unwrap();
        assert!(held.is_some());
        assert!(EnvironmentLock::try_acquire_for_run(&one, "run 2").unwrap().is_none());
        assert!(EnvironmentLock::try_acquire(&other).unwrap().is_some(), "another environment");
        assert_eq!(EnvironmentLock::last_run_id(&one), "run 1");
        drop(held);
        assert!(EnvironmentLock::try_acquire(&one).unwrap().is_some());
        assert_eq!(EnvironmentLock::last_run_id(&one), "run 1", "nothing else has used it");
        assert!(!one.exists());
    }

    #[test]
    fn a_directory_that_cannot_be_created_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(EnvironmentLock::try_acquire(&file.path().join("one")).is_err());
    }
}
