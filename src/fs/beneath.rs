//! File operations beneath a directory that follow no symbolic link below it, for paths that come from a store.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, renameat, unlinkat};

/// A directory, and relative paths below it. No component of such a path may be a link or lead out of the directory.
#[derive(Debug)]
pub(crate) struct RootDir {
    root: OwnedFd,
}

impl RootDir {
    /// Opens a directory; the path to it may have links.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { root: openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY, Mode::empty())? })
    }

    /// Renames `from`, a path of the caller, to `path` below the directory, and creates the parents of `path`.
    ///
    /// # Errors
    /// If a parent is a link, `path` leads out of the directory, or renaming fails.
    pub(crate) fn rename_from(&self, from: &Path, path: &Path) -> io::Result<()> {
        let (parent, name) = self.open_parent(path, true)?;
        Ok(renameat(CWD, from, &parent, name)?)
    }

    /// Removes the file or link at `path`, if it exists.
    ///
    /// # Errors
    /// If a parent is a link, `path` leads out of the directory, or removing fails.
    pub(crate) fn remove_file(&self, path: &Path) -> io::Result<()> {
        let removed =
            self.open_parent(path, false).and_then(|(parent, name)| Ok(unlinkat(&parent, name, AtFlags::empty())?));
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn open_parent<'a>(&self, path: &'a Path, create: bool) -> io::Result<(OwnedFd, &'a OsStr)> {
        let outside =
            || io::Error::new(io::ErrorKind::InvalidInput, format!("{} leads out of the directory", path.display()));
        let name = path.file_name().ok_or_else(outside)?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let mut dir = self.root.try_clone()?;
        for component in path.parent().unwrap_or(Path::new("")).components() {
            let Component::Normal(part) = component else { return Err(outside()) };
            if create {
                match mkdirat(dir.as_fd(), part, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            dir = openat(&dir, part, flags, Mode::empty()).map_err(|error| match error {
                rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => {
                    io::Error::other(format!("{} is not a directory, in {}", part.to_string_lossy(), path.display()))
                }
                error => error.into(),
            })?;
        }
        Ok((dir, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn files_are_renamed_and_removed_below_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let root = RootDir::open(directory.path()).unwrap();
        let from = directory.path().join("new");
        fs_err::write(&from, "x").unwrap();
        root.rename_from(&from, Path::new("a/b/c")).unwrap();
        assert_eq!(fs_err::read_to_string(directory.path().join("a/b/c")).unwrap(), "x");
        root.remove_file(Path::new("a/b/c")).unwrap();
        root.remove_file(Path::new("a/b/c")).unwrap();
        root.remove_file(Path::new("missing/b/c")).unwrap();
        assert!(!directory.path().join("a/b/c").exists() && !directory.path().join("missing").exists());
    }

    #[test]
    fn no_link_is_followed_and_no_path_leads_out() {
        let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = RootDir::open(directory.path()).unwrap();
        let from = directory.path().join("new");
        fs_err::write(&from, "x").unwrap();
        fs_err::write(other.path().join("victim"), "precious").unwrap();
        symlink(other.path(), directory.path().join("link")).unwrap();
        for path in ["link/victim", "link/new", "link/sub/x", "../x", "/etc/x", "a/../../x", "new/x", ""] {
            assert!(root.rename_from(&from, Path::new(path)).is_err(), "{path}");
        }
        assert!(root.remove_file(Path::new("link/victim")).is_err());
        assert_eq!(fs_err::read_dir(other.path()).unwrap().count(), 1);
        // The link itself is replaced, not followed.
        root.rename_from(&from, Path::new("link")).unwrap();
        assert!(directory.path().join("link").is_file() && other.path().join("victim").exists());
        assert!(RootDir::open(&directory.path().join("missing")).is_err());
    }
}
