//! A file put to a second place as cheaply as the two file systems allow: clone, else hard link, else copy.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

/// How a file gets to a second place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkMode {
    /// A file of its own that shares its blocks until one is written to.
    Clone,
    /// The same file under a second name: a write through one is seen through the other.
    Hardlink,
    /// A file of its own, with all its bytes written again.
    Copy,
}

impl LinkMode {
    const ALL: [Self; 3] = [Self::Clone, Self::Hardlink, Self::Copy];

    /// uv's word for it (`--link-mode`).
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Clone => "clone",
            Self::Hardlink => "hardlink",
            Self::Copy => "copy",
        }
    }
}

/// Puts files from one folder tree to another; the first file finds out how, for all that follow.
#[derive(Debug)]
pub struct FileLinker {
    mode: AtomicU8,
    allow_hardlinks: bool,
}

impl FileLinker {
    /// One that begins with the cheapest way.
    pub fn new() -> Self {
        Self::with_mode(LinkMode::Clone)
    }

    /// One that begins with `mode` and falls back from there.
    pub(crate) fn with_mode(mode: LinkMode) -> Self {
        Self { mode: AtomicU8::new(mode as u8), allow_hardlinks: true }
    }

    /// One for files that somebody may write to: each gets a file of its own, never a second name.
    pub(crate) fn without_hardlinks() -> Self {
        Self { mode: AtomicU8::new(LinkMode::Clone as u8), allow_hardlinks: false }
    }

    /// The way in use now.
    pub fn current_mode(&self) -> LinkMode {
        LinkMode::ALL[usize::from(self.mode.load(Ordering::Relaxed)).min(2)]
    }

    /// Puts the regular file `from` to `to`, where nothing may be yet.
    ///
    /// # Errors
    /// When even a copy fails; nothing is then left at `to`.
    pub fn link_file(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut mode = self.current_mode();
        loop {
            let done = match mode {
                LinkMode::Clone => reflink_file(from, to),
                LinkMode::Hardlink => std::fs::hard_link(from, to),
                LinkMode::Copy => return copy_file(from, to),
            };
            let error = match done {
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
            // One file may have as many names as it can; that says nothing of the next one.
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
    reflink_copy::reflink(from, to)?;
    copy_metadata(from, to)
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut target = std::fs::OpenOptions::new().write(true).create_new(true).open(to)?;
    let done = std::fs::File::open(from)
        .and_then(|mut source| io::copy(&mut source, &mut target))
        .and_then(|_| copy_metadata(from, to));
    if done.is_err() {
        // What is left of a failed copy is no file that anybody asked for.
        let _ = std::fs::remove_file(to);
    }
    done
}

/// Mode and time of the original: tools that compare times (Python's bytecode) see the same file.
fn copy_metadata(from: &Path, to: &Path) -> io::Result<()> {
    let facts = std::fs::metadata(from)?;
    std::fs::set_permissions(to, facts.permissions())?;
    let file = std::fs::File::open(to)?;
    file.set_times(std::fs::FileTimes::new().set_modified(facts.modified()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn every_way_puts_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
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
            let to = folder.path().join(number.to_string());
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
    fn other_file_systems_get_copies() {
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
