//! A claim on a file that the kernel gives up for us when the process dies, however it dies.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// An exclusive advisory lock on a file, held until dropped.
#[derive(Debug)]
pub struct Claim {
    _file: File,
}

impl Claim {
    /// Takes the claim if nobody living holds it; `None` where somebody does.
    ///
    /// # Errors
    /// When the file cannot be opened or created, or the file system has no locks.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let file: File = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(path)?.into();
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for the claim.
    ///
    /// # Errors
    /// As [`Claim::take`].
    pub fn wait(path: &Path) -> io::Result<Self> {
        let file: File = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(path)?.into();
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(Self { _file: file }),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("claim");
        let held = Claim::wait(&path).unwrap();
        assert!(Claim::take(&path).unwrap().is_none());
        drop(held);
        assert!(Claim::take(&path).unwrap().is_some());
        assert!(Claim::take(folder.path()).is_err());
    }
}
