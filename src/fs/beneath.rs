//! File operations beneath a directory that follow no symbolic link below it, for paths that come from a store or from
//! another machine, and for removal.

use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

/// Flags to open a directory, but no link to one.
const DIR_FLAGS: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An entry of a directory.
#[derive(Debug)]
pub(crate) struct ListedEntry {
    pub(crate) name: OsString,
    pub(crate) file_type: FileType,
    /// Time of the last change of the content, in seconds since 1970.
    pub(crate) modified_seconds: i64,
}

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

    /// Opens a directory; the path to it may have links, but its last component must not be one.
    pub(crate) fn open_no_follow(path: &Path) -> io::Result<Self> {
        Ok(Self { root: openat(CWD, path, DIR_FLAGS, Mode::empty())? })
    }

    /// Opens the regular file at `path` for reading.
    ///
    /// # Errors
    /// If it or a parent is a link, it is not a regular file, `path` leads out of the directory, or opening fails.
    pub(crate) fn open_file(&self, path: &Path) -> io::Result<File> {
        let (parent, name) = self.open_parent(path, false)?;
        let file = open_regular_file(&parent, name);
        file.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    /// Copies the file or directory tree at `from` to `to` below another directory. Existing files are replaced, not
    /// written to; a missing source is ignored.
    ///
    /// # Errors
    /// If something is a link or another special file, a path leads out of its directory, or reading or writing fails.
    pub(crate) fn copy_tree(&self, from: &Path, target: &Self, to: &Path) -> io::Result<()> {
        let (parent, name) = match self.open_parent(from, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let add_path = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", from.display()));
        let stat = match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            stat => stat.map_err(io::Error::from).map_err(add_path)?,
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            let mut source = open_regular_file(&parent, name).map_err(add_path)?;
            let mode = Mode::from_raw_mode(stat.st_mode) & Mode::from_raw_mode(0o777);
            return io::copy(&mut source, &mut target.create_file(to, mode)?).map(drop).map_err(add_path);
        }
        let dir = openat(&parent, name, DIR_FLAGS, Mode::empty()).map_err(io::Error::from).map_err(add_path)?;
        for entry in Dir::read_from(&dir)? {
            let entry = entry?;
            if let Some(name) = entry_name(entry.file_name()) {
                self.copy_tree(&from.join(name), target, &to.join(name))?;
            }
        }
        Ok(())
    }

    /// Returns whether `path` is a directory below this one, reached through no link.
    pub(crate) fn is_dir(&self, path: &Path) -> bool {
        let opened = self
            .open_parent(path, false)
            .and_then(|(parent, name)| Ok(openat(&parent, name, DIR_FLAGS, Mode::empty())?));
        opened.is_ok()
    }

    /// Returns at most `limit` entries of the directory at `path`; of this one for `None`. Entries that vanish meanwhile are
    /// left out.
    ///
    /// # Errors
    /// If it or a parent is a link or no directory, `path` leads out of the directory, or reading fails.
    pub(crate) fn list_dir(&self, path: Option<&Path>, limit: usize) -> io::Result<Vec<ListedEntry>> {
        let dir = match path {
            Some(path) => {
                let (parent, name) = self.open_parent(path, false)?;
                openat(&parent, name, DIR_FLAGS, Mode::empty())?
            }
            None => openat(&self.root, ".", DIR_FLAGS, Mode::empty())?,
        };
        let mut found = Vec::new();
        // Two entries are the directory itself and its parent.
        for entry in Dir::read_from(&dir)?.take(limit.saturating_add(2)) {
            let entry = entry?;
            let Some(name) = entry_name(entry.file_name()) else { continue };
            let Ok(stat) = statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let file_type = FileType::from_raw_mode(stat.st_mode);
            found.push(ListedEntry { name: name.to_owned(), file_type, modified_seconds: stat.st_mtime });
        }
        Ok(found)
    }

    /// Returns whether anything is at `path`, a link included.
    ///
    /// # Errors
    /// If a parent is a link, `path` leads out of the directory, or looking fails.
    pub(crate) fn exists(&self, path: &Path) -> io::Result<bool> {
        let found = self
            .open_parent(path, false)
            .and_then(|(parent, name)| Ok(statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?));
        match found {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Creates a directory, and the parents of `path`; an existing one is left alone.
    ///
    /// # Errors
    /// If it or a parent is a link, `path` leads out of the directory, or creating fails.
    pub(crate) fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.open_parent(&path.join("x"), true).map(drop)
    }

    /// Creates a file for writing, and the parents of `path`; an existing file or link is replaced.
    ///
    /// # Errors
    /// If a parent is a link, `path` leads out of the directory, or creating fails.
    pub(crate) fn create_file(&self, path: &Path, mode: Mode) -> io::Result<File> {
        let (parent, name) = self.open_parent(path, true)?;
        match unlinkat(&parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(&parent, name, flags, mode)?))
    }

    /// Removes the directory at `path` and everything below it; links below it are removed, not followed.
    ///
    /// # Errors
    /// If it or a parent is a link or no directory, `path` leads out of the directory, or removing fails.
    pub(crate) fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let (parent, name) = self.open_parent(path, false)?;
        Ok(remove_dir_at(&parent, name)?)
    }

    /// Renames `from`, a path of the caller, to `path` below the directory, and creates the parents of `path`.
    ///
    /// # Errors
    /// If a parent is a link, `path` leads out of the directory, or renaming fails.
    pub(crate) fn rename_from(&self, from: &Path, path: &Path) -> io::Result<()> {
        let (parent, name) = self.open_parent(path, true)?;
        Ok(renameat(CWD, from, &parent, name)?)
    }

    /// Renames `from` to `to`, both below the directory.
    ///
    /// # Errors
    /// If a parent is a link, a path leads out of the directory, or renaming fails.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let ((from_parent, from_name), (to_parent, to_name)) =
            (self.open_parent(from, false)?, self.open_parent(to, true)?);
        Ok(renameat(&from_parent, from_name, &to_parent, to_name)?)
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
        let mut dir = self.root.try_clone()?;
        for component in path.parent().unwrap_or(Path::new("")).components() {
            let Component::Normal(part) = component else { return Err(outside()) };
            if create {
                match mkdirat(dir.as_fd(), part, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            dir = openat(&dir, part, DIR_FLAGS, Mode::empty()).map_err(|error| match error {
                Errno::LOOP | Errno::NOTDIR => {
                    io::Error::other(format!("{} is not a directory, in {}", part.to_string_lossy(), path.display()))
                }
                error => error.into(),
            })?;
        }
        Ok((dir, name))
    }
}

/// Removes the directory at `path` and everything below it. Links below it are removed, never followed; a link at `path`
/// is an error.
///
/// # Errors
/// If `path` is not a directory, or something cannot be removed.
pub(crate) fn remove_dir_tree(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = Path::new(path.file_name().unwrap_or_default());
    let removed = RootDir::open(parent).and_then(|parent| parent.remove_dir(name));
    removed.map_err(|error| io::Error::new(error.kind(), format!("cannot remove {}: {error}", path.display())))
}

fn remove_dir_at(parent: &OwnedFd, name: &OsStr) -> rustix::io::Result<()> {
    let dir = openat(parent, name, DIR_FLAGS, Mode::empty())?;
    for entry in Dir::read_from(&dir)? {
        let entry = entry?;
        let Some(name) = entry_name(entry.file_name()) else { continue };
        let is_dir = match entry.file_type() {
            FileType::Unknown => statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
            file_type => file_type == FileType::Directory,
        };
        let removed = if is_dir { remove_dir_at(&dir, name) } else { unlinkat(&dir, name, AtFlags::empty()) };
        match removed {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
    }
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}

/// Opens a regular file for reading, without waiting for the writer of a pipe.
fn open_regular_file(parent: &OwnedFd, name: &OsStr) -> io::Result<File> {
    let not_regular = || io::Error::other("it is not a regular file");
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(parent, name, flags, Mode::empty()) {
        Err(Errno::LOOP | Errno::NXIO) => return Err(not_regular()),
        opened => File::from(opened?),
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

/// Returns the name of an entry of a directory, unless it is the directory itself or its parent.
fn entry_name(name: &CStr) -> Option<&OsStr> {
    let name: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(name.to_bytes());
    (name != "." && name != "..").then_some(name)
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
        assert!(
            !root.is_dir(Path::new("missing")) && !root.is_dir(Path::new("link")) && !root.is_dir(Path::new("new"))
        );
        assert!(root.rename(Path::new("new"), Path::new("link/new")).is_err());
        root.rename(Path::new("new"), Path::new("sub/new")).unwrap();
        assert!(root.is_dir(Path::new("sub")));
        root.rename(Path::new("sub/new"), Path::new("new")).unwrap();
        assert!(root.remove_file(Path::new("link/victim")).is_err());
        assert_eq!(fs_err::read_dir(other.path()).unwrap().count(), 1);
        // The link itself is replaced, not followed.
        root.rename_from(&from, Path::new("link")).unwrap();
        assert!(directory.path().join("link").is_file() && other.path().join("victim").exists());
        assert!(RootDir::open(&directory.path().join("missing")).is_err());
    }

    #[test]
    fn a_removed_tree_loses_its_links_but_not_their_targets() {
        let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (tree, victim) = (directory.path().join("tree"), other.path().join("victim"));
        fs_err::create_dir_all(tree.join("a/b")).unwrap();
        fs_err::write(tree.join("a/b/file"), "x").unwrap();
        fs_err::write(&victim, "precious").unwrap();
        symlink(other.path(), tree.join("a/link")).unwrap();
        symlink(&victim, tree.join("a/file-link")).unwrap();
        symlink(other.path(), directory.path().join("link")).unwrap();
        assert!(remove_dir_tree(&directory.path().join("link")).is_err(), "a link is not a directory");
        assert!(remove_dir_tree(&directory.path().join("missing")).unwrap_err().to_string().contains("missing"));
        assert!(remove_dir_tree(&victim).is_err());
        assert!(RootDir::open_no_follow(&directory.path().join("link")).is_err());
        let root = RootDir::open(directory.path()).unwrap();
        assert!(root.remove_dir(Path::new("link/victim")).is_err() && root.remove_dir(Path::new("..")).is_err());
        remove_dir_tree(&tree).unwrap();
        assert!(!tree.exists());
        assert_eq!(fs_err::read_to_string(&victim).unwrap(), "precious");
    }

    #[test]
    fn only_regular_files_are_opened_and_copied() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let victim = to.path().join("victim");
        fs_err::write(&victim, "precious").unwrap();
        fs_err::create_dir_all(from.path().join("tree/sub")).unwrap();
        fs_err::write(from.path().join("tree/sub/file"), "content").unwrap();
        fs_err::create_dir(to.path().join("target")).unwrap();
        let (source, target) = (RootDir::open(from.path()).unwrap(), RootDir::open(&to.path().join("target")).unwrap());
        // A file that is replaced is not written to.
        fs_err::create_dir_all(to.path().join("target/copy/sub")).unwrap();
        symlink(&victim, to.path().join("target/copy/sub/file")).unwrap();
        source.copy_tree(Path::new("tree"), &target, Path::new("copy")).unwrap();
        source.copy_tree(Path::new("missing/too"), &target, Path::new("copy")).unwrap();
        assert_eq!(fs_err::read_to_string(to.path().join("target/copy/sub/file")).unwrap(), "content");
        let copied = fs_err::symlink_metadata(to.path().join("target/copy/sub/file")).unwrap();
        assert!(copied.is_file() && source.open_file(Path::new("tree/sub/file")).is_ok());

        symlink(&victim, from.path().join("tree/link")).unwrap();
        symlink(to.path(), from.path().join("tree/dir-link")).unwrap();
        let fifo = from.path().join("tree/fifo");
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
        for path in ["tree/link", "tree/dir-link", "tree/dir-link/victim", "tree/fifo", "../victim", "/etc/passwd"] {
            let copied = source.copy_tree(Path::new(path), &target, Path::new("new"));
            assert!(copied.is_err() && source.open_file(Path::new(path)).is_err(), "{path}");
        }
        assert!(source.open_file(Path::new("tree/sub")).is_err());
        symlink(to.path(), to.path().join("target/out")).unwrap();
        for path in ["out/victim", "../victim"] {
            assert!(source.copy_tree(Path::new("tree/sub/file"), &target, Path::new(path)).is_err(), "{path}");
        }
        assert_eq!(fs_err::read_to_string(&victim).unwrap(), "precious");
    }
}
