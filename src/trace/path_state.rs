//! State of a path, comparable by content: files are identified by digest, not by modification time.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::git_index::{INDEX_SIGNATURE, digest_index_entries};

/// Files above this size (bytes) are compared by size and time: hashing them would delay the session.
const MAX_HASHED_BYTES: u64 = 64 * 1024 * 1024;

/// State of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PathState {
    Absent,
    Directory,
    /// A file: digest of its content and executable bit.
    File(String),
    /// A symbolic link and its target.
    Link(PathBuf),
    /// A device, pipe or socket.
    Other,
}

impl PathState {
    /// Reads the current state without following links. A file that cannot be read is identified by size and times.
    pub(super) fn from_path(path: &Path) -> Self {
        let Ok(metadata) = fs_err::symlink_metadata(path) else { return Self::Absent };
        let kind = metadata.file_type();
        if kind.is_dir() {
            Self::Directory
        } else if kind.is_symlink() {
            Self::Link(fs_err::read_link(path).unwrap_or_default())
        } else if kind.is_file() {
            Self::File(hash_file(path, &metadata))
        } else {
            Self::Other
        }
    }

    /// Returns whether this is a file that is not empty.
    pub(super) fn is_file_with_content(&self) -> bool {
        let is_empty = |digest: &String| [false, true].iter().any(|bit| *digest == to_digest(&file_hasher(*bit)));
        matches!(self, Self::File(digest) if !is_empty(digest))
    }

    /// Returns the digest of a file.
    pub(super) fn file_digest(&self) -> Option<&str> {
        match self {
            Self::File(digest) => Some(digest),
            _ => None,
        }
    }
}

/// Returns the digest of a file, before its content is added: it contains the executable bit.
fn file_hasher(is_executable: bool) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[u8::from(is_executable)]);
    hasher
}

/// Adds the content of a file. Of Git's index only the entries count: commands that change nothing rewrite the rest.
fn hash_content(path: &Path, hasher: &mut blake3::Hasher) -> io::Result<()> {
    let mut start = Vec::new();
    let mut file = File::open(path)?.take(MAX_HASHED_BYTES);
    file.by_ref().take(INDEX_SIGNATURE.len() as u64).read_to_end(&mut start)?;
    if start != INDEX_SIGNATURE {
        hasher.update(&start).update_reader(file)?;
        return Ok(());
    }
    file.read_to_end(&mut start)?;
    match digest_index_entries(&start) {
        Some(entries) => hasher.update(INDEX_SIGNATURE).update(entries.as_bytes()),
        None => hasher.update(&start),
    };
    Ok(())
}

fn to_digest(hasher: &blake3::Hasher) -> String {
    hasher.finalize().to_hex().chars().take(32).collect()
}

fn hash_file(path: &Path, metadata: &Metadata) -> String {
    let mut hasher = file_hasher(metadata.permissions().mode() & 0o111 != 0);
    let hashed = metadata.len() <= MAX_HASHED_BYTES && hash_content(path, &mut hasher).is_ok();
    if !hashed {
        let times = (metadata.len(), metadata.mtime(), metadata.mtime_nsec(), metadata.ino());
        hasher.update(format!("{times:?}").as_bytes());
    }
    to_digest(&hasher)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_content_gives_equal_states() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert_eq!(PathState::from_path(&path), PathState::Absent);
        fs_err::write(&path, "").unwrap();
        assert!(!PathState::from_path(&path).is_file_with_content());
        fs_err::write(&path, "one").unwrap();
        assert!(PathState::from_path(&path).is_file_with_content());
        let first = PathState::from_path(&path);
        fs_err::remove_file(&path).unwrap();
        fs_err::write(&path, "one").unwrap();
        assert_eq!(PathState::from_path(&path), first);
        fs_err::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        assert_ne!(PathState::from_path(&path), first);
        assert_eq!(first.file_digest().map(str::len), Some(32));
        std::os::unix::fs::symlink("file", directory.path().join("link")).unwrap();
        assert_eq!(PathState::from_path(&directory.path().join("link")), PathState::Link("file".into()));
        assert_eq!(PathState::from_path(directory.path()), PathState::Directory);
        assert_eq!(PathState::from_path(Path::new("/dev/null")), PathState::Other);
        // Too large to be hashed: identified by size and times.
        let large = File::create(directory.path().join("large")).unwrap();
        large.set_len(MAX_HASHED_BYTES + 1).unwrap();
        let before = PathState::from_path(&directory.path().join("large"));
        large.set_len(MAX_HASHED_BYTES + 2).unwrap();
        assert_ne!(PathState::from_path(&directory.path().join("large")), before);
    }
}
