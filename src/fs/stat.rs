//! What a file system says of a file, and walks through trees that follow no link.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What tells one state of a file from another without reading it.
///
/// A change of the bytes changes `modified` (unless somebody sets it back); `changed` moves also when a name is added
/// or removed, so among hard links it only says that a file is surely untouched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileStat {
    /// Kind and permissions, as `stat` gives them.
    pub(crate) mode: u32,
    /// Bytes.
    pub(crate) size: u64,
    /// Number of the file in its file system.
    pub(crate) inode: u64,
    /// Last write, nanoseconds since 1970.
    pub(crate) mtime_ns: i64,
    /// Last change of anything, nanoseconds since 1970.
    pub(crate) ctime_ns: i64,
}

impl FileStat {
    /// Of the file at a path, without following it.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn from_path(path: &Path) -> io::Result<Self> {
        std::fs::symlink_metadata(path).map(|facts| Self::from(&facts))
    }

    /// Whether it is a regular file.
    pub(crate) fn is_file(&self) -> bool {
        self.file_type() == 0o100_000
    }

    /// Whether it is a folder.
    pub(crate) fn is_dir(&self) -> bool {
        self.file_type() == 0o040_000
    }

    /// Whether it is a symbolic link.
    pub(crate) fn is_symlink(&self) -> bool {
        self.file_type() == 0o120_000
    }

    /// Whether its owner may run it.
    pub(crate) fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }

    /// Whether it runs with another's rights, or is sticky.
    pub(crate) fn has_special_bits(&self) -> bool {
        self.mode & 0o7_000 != 0
    }

    fn file_type(&self) -> u32 {
        self.mode & 0o170_000
    }
}

impl From<&std::fs::Metadata> for FileStat {
    fn from(facts: &std::fs::Metadata) -> Self {
        let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            mode: facts.mode(),
            size: facts.size(),
            inode: facts.ino(),
            mtime_ns: nanoseconds(facts.mtime(), facts.mtime_nsec()),
            ctime_ns: nanoseconds(facts.ctime(), facts.ctime_nsec()),
        }
    }
}

/// Everything below a folder, sorted by path, each with its stamp; folders stand before what they hold.
///
/// # Errors
/// When a folder cannot be read; it does not follow links, and a file that goes while it looks is left out.
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
        if let Ok(facts) = entry.metadata() {
            found.push((inner.to_path_buf(), FileStat::from(&facts)));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_sees_all_and_follows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
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
