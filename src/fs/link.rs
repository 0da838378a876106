//! Links of a file to a second path, by the cheapest method that the file systems support: clone, hard link, or copy.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use super::digest::open_no_follow;

/// How a file is placed at a second path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkMode {
    /// A separate file that shares its blocks until one of the two is written to.
    Clone,
    /// The same file under a second name: a write through one name is visible through the other.
    Hardlink,
    /// A separate file with its own bytes.
    Copy,
}

impl LinkMode {
    const ALL: [Self; 3] = [Self::Clone, Self::Hardlink, Self::Copy];

    /// Returns the name that uv uses (`--link-mode`).
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Clone => "clone",
            Self::Hardlink => "hardlink",
            Self::Copy => "copy",
        }
    }
}

/// Places files of one directory tree into another; a mode that fails is not tried for
/// later files, except if only that file has too many links.
#[derive(Debug)]
pub struct FileLinker {
    mode: AtomicU8,
    allow_hardlinks: bool,
}

impl FileLinker {
    /// Creates a linker that starts with the cheapest mode.
    pub fn new() -> Self {
        Self::with_mode(LinkMode::Clone)
    }

    /// Creates a linker that starts with `mode` and falls back from there.
    pub(crate) fn with_mode(mode: LinkMode) -> Self {
        Self { mode: AtomicU8::new(mode as u8), allow_hardlinks: true }
    }

    /// Creates a linker for files that may be written to: it never creates hard links.
    pub(crate) fn without_hardlinks() -> Self {
        Self { mode: AtomicU8::new(LinkMode::Clone as u8), allow_hardlinks: false }
    }

    /// Returns the mode in use.
    pub fn current_mode(&self) -> LinkMode {
        LinkMode::ALL[usize::from(self.mode.load(Ordering::Relaxed)).min(2)]
    }

    /// Places the regular file `from` at `to`, which must not exist.
    ///
    /// # Errors
    /// If even a copy fails; `to` then does not exist.
    pub fn link_file(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut mode = self.current_mode();
        loop {
            let result = match mode {
                LinkMode::Clone => reflink_file(from, to),
                LinkMode::Hardlink => std::fs::hard_link(from, to),
                LinkMode::Copy => return copy_file(from, to),
            };
            let error = match result {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if matches!(
                error.kind(),
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound | io::ErrorKind::StorageFull
            ) {
                return Err(error);
            }
            let next =
                if mode == LinkMode::Clone && self.allow_hardlinks { LinkMode::Hardlink } else { LinkMode::Copy };
            // Only this file has too many links: keep the mode for the others.
            if error.raw_os_error() != Some(rustix::io::Errno::MLINK.raw_os_error()) {
                self.mode.fetch_max(next as u8, Ordering::Relaxed);
            }
            mode = next;
        }
    }
}

impl Default for FileLinker {
    fn default() -> Self {
        Self::new()
    }
}

fn reflink_file(from: &Path, to: &Path) -> io::Result<()> {
    // Cloning by path follows a link with which another user may have replaced the file.
    if std::fs::symlink_metadata(from)?.uid() != rustix::process::geteuid().as_raw() {
        return copy_file(from, to);
    }
    reflink_copy::reflink(from, to)?;
    copy_metadata(from, to)
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut target = std::fs::OpenOptions::new().write(true).create_new(true).open(to)?;
    // No link is followed: another user may own the file and replace it.
    let result = open_no_follow(from).and_then(|(mut source, _)| {
        io::copy(&mut source, &mut target)?;
        let metadata = source.metadata()?;
        target.set_permissions(metadata.permissions())?;
        target.set_times(std::fs::FileTimes::new().set_modified(metadata.modified()?))
    });
    if result.is_err() {
        // Do not leave a partial copy.
        let _ = std::fs::remove_file(to);
    }
    result
}

/// Copies permissions and modification time, because Python compares the time of a source with its bytecode.
fn copy_metadata(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = std::fs::metadata(from)?;
    std::fs::set_permissions(to, metadata.permissions())?;
    let file = std::fs::File::open(to)?;
    file.set_times(std::fs::FileTimes::new().set_modified(metadata.modified()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn every_mode_produces_the_same_file() {
        let directory = tempfile::tempdir().unwrap();
        let from = directory.path().join("from");
        fs_err::write(&from, "text").unwrap();
        fs_err::set_permissions(&from, std::fs::Permissions::from_mode(0o750)).unwrap();
        for (number, linker) in [
            FileLinker::new(),
            FileLinker::with_mode(LinkMode::Hardlink),
            FileLinker::with_mode(LinkMode::Copy),
            FileLinker::without_hardlinks(),
        ]
        .iter()
        .enumerate()
        {
            let to = directory.path().join(number.to_string());
            linker.link_file(&from, &to).unwrap();
            let (old, new) = (fs_err::metadata(&from).unwrap(), fs_err::metadata(&to).unwrap());
            assert_eq!(fs_err::read(&to).unwrap(), b"text");
            assert_eq!(
                (old.mode(), old.mtime_nsec()),
                (new.mode(), new.mtime_nsec()),
                "{}",
                linker.current_mode().as_str()
            );
            assert_eq!(
                old.ino() == new.ino(),
                linker.current_mode() == LinkMode::Hardlink,
                "{}",
                linker.current_mode().as_str()
            );
            assert_eq!(linker.link_file(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists, "{number}");
        }
        assert_eq!(LinkMode::Clone.as_str(), "clone");
        assert_eq!(FileLinker::default().current_mode(), LinkMode::Clone);
    }

    #[test]
    fn files_are_copied_to_other_file_systems() {
        let here = tempfile::tempdir().unwrap();
        let Ok(other) = tempfile::tempdir_in("/dev/shm") else { return };
        fs_err::write(here.path().join("a"), "text").unwrap();
        let same = fs_err::metadata(here.path()).unwrap().dev() == fs_err::metadata(other.path()).unwrap().dev();
        let linker = FileLinker::new();
        linker.link_file(&here.path().join("a"), &other.path().join("a")).unwrap();
        assert_eq!(linker.current_mode() == LinkMode::Copy, !same);
        assert!(linker.link_file(&here.path().join("missing"), &other.path().join("b")).is_err());
        assert!(!other.path().join("b").exists());
    }
}
