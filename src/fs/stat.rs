//! File metadata, and directory walks that follow no links.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Metadata that identifies one state of a file without reading it.
///
/// Writing to the file changes `mtime_ns` (unless it is reset); `ctime_ns` also changes when a hard link is added or
/// removed, so for hard links it can only prove that the file is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileStat {
    /// File type and permissions, as returned by `stat`.
    pub(crate) mode: u32,
    /// The user that the file belongs to.
    pub(crate) uid: u32,
    /// Size in bytes.
    pub(crate) size: u64,
    /// Inode number.
    pub(crate) inode: u64,
    /// Last write, in nanoseconds since 1970.
    pub(crate) mtime_ns: i64,
    /// Last change of content or metadata, in nanoseconds since 1970.
    pub(crate) ctime_ns: i64,
}

impl FileStat {
    /// Reads the metadata of a path without following a link.
    ///
    /// # Errors
    /// If the path does not exist or cannot be read.
    pub(crate) fn from_path(path: &Path) -> io::Result<Self> {
        std::fs::symlink_metadata(path).map(|metadata| Self::from(&metadata))
    }

    /// Returns whether the file belongs to this user.
    pub(crate) fn is_own(&self) -> bool {
        self.uid == rustix::process::geteuid().as_raw()
    }

    /// Returns whether this is a regular file.
    pub(crate) fn is_file(&self) -> bool {
        self.file_type() == 0o100_000
    }

    /// Returns whether this is a directory.
    pub(crate) fn is_dir(&self) -> bool {
        self.file_type() == 0o040_000
    }

    /// Returns whether this is a symbolic link.
    pub(crate) fn is_symlink(&self) -> bool {
        self.file_type() == 0o120_000
    }

    /// Returns whether the owner may execute the file.
    pub(crate) fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }

    /// Returns whether the setuid, setgid or sticky bit is set.
    pub(crate) fn has_special_bits(&self) -> bool {
        self.mode & 0o7_000 != 0
    }

    fn file_type(&self) -> u32 {
        self.mode & 0o170_000
    }
}

impl From<&std::fs::Metadata> for FileStat {
    fn from(metadata: &std::fs::Metadata) -> Self {
        let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            mode: metadata.mode(),
            uid: metadata.uid(),
            size: metadata.size(),
            inode: metadata.ino(),
            mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Lists everything below a directory, sorted by path; a directory precedes its content.
///
/// # Errors
/// If a directory cannot be read. Links are not followed, and files that disappear during the walk are skipped.
pub(crate) fn walk_tree(root: &Path) -> io::Result<Vec<(PathBuf, FileStat)>> {
    let mut found = Vec::new();
    let walk = walkdir::WalkDir::new(root).min_depth(1).follow_links(false).sort_by_file_name();
    for entry in walk {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error)
                if error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
                    && error.depth() > 0 =>
            {
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let Ok(inner) = entry.path().strip_prefix(root) else { continue };
        if let Ok(metadata) = entry.metadata() {
            found.push((inner.to_path_buf(), FileStat::from(&metadata)));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_lists_everything_and_follows_no_link() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs_err::create_dir_all(root.join("b/c")).unwrap();
        fs_err::write(root.join("b/c/file"), "x").unwrap();
        fs_err::write(root.join("a"), "").unwrap();
        std::os::unix::fs::symlink("/", root.join("out")).unwrap();
        let found = walk_tree(root).unwrap();
        let names: Vec<&str> = found.iter().map(|(path, _)| path.to_str().unwrap()).collect();
        assert_eq!(names, ["a", "b", "b/c", "b/c/file", "out"]);
        assert!(found[0].1.is_file() && found[1].1.is_dir() && found[4].1.is_symlink());
        assert!(!found[0].1.is_executable() && !found[0].1.has_special_bits());
        assert_eq!(found[3].1.size, 1);
        assert!(walk_tree(&root.join("missing")).is_err());
        assert!(FileStat::from_path(&root.join("missing")).is_err());
    }
}
