//! Git's index: a digest of its entries, without the times and sizes of files that commands such as `git status` refresh.

/// The first bytes of an index.
pub(super) const INDEX_SIGNATURE: &[u8; 4] = b"DIRC";

/// Lengths of object names and of the checksum at the end (bytes): SHA-1 and SHA-256. The file does not say which it has.
const HASH_LENGTHS: [usize; 2] = [20, 32];

/// Times, device, inode, owner and size of a file at the begin of an entry (bytes), with the mode among them.
const STAT_BYTES: usize = 40;

/// Position of the mode in an entry.
const MODE_OFFSET: usize = 24;

/// Flag of an entry that has further flags.
const EXTENDED_FLAG: u16 = 0x4000;

/// Returns a digest of what the index says about each file: its mode, object, flags and path. `None` for another format, and
/// for an index that is split into two files.
pub(super) fn digest_index_entries(bytes: &[u8]) -> Option<blake3::Hash> {
    HASH_LENGTHS.into_iter().find_map(|hash_length| digest_entries(bytes, hash_length))
}

fn digest_entries(bytes: &[u8], hash_length: usize) -> Option<blake3::Hash> {
    let mut reader = IndexReader { rest: bytes.get(..bytes.len().checked_sub(hash_length)?)? };
    if reader.take(4)? != INDEX_SIGNATURE {
        return None;
    }
    let version = reader.take_u32()?;
    if !(2..=4).contains(&version) {
        return None;
    }
    let count = reader.take_u32()?;
    let (mut hasher, mut path) = (blake3::Hasher::new(), Vec::new());
    for _ in 0..count {
        let before = reader.rest.len();
        let stat = reader.take(STAT_BYTES)?;
        hasher.update(stat.get(MODE_OFFSET..MODE_OFFSET + 4)?);
        hasher.update(reader.take(hash_length)?);
        let flags = reader.take_u16()?;
        let more = if version >= 3 && flags & EXTENDED_FLAG != 0 { reader.take_u16()? } else { 0 };
        if version == 4 {
            let shared = path.len().checked_sub(reader.take_offset()?)?;
            path.truncate(shared);
            path.extend(reader.take_string()?);
        } else {
            path = reader.take_string()?.to_vec();
            // Zeros fill an entry up to a multiple of eight bytes; the first of them has been read with the path.
            let length = before - reader.rest.len();
            reader.take(length.next_multiple_of(8) - length)?;
        }
        hasher.update(&flags.to_be_bytes()).update(&more.to_be_bytes()).update(&path).update(&[0]);
    }
    // Extensions hold what Git can compute again, except in those with a lower-case name. Of these, `sdir` only says that
    // an entry may be a directory.
    while !reader.rest.is_empty() {
        let name = reader.take(4)?;
        let length = usize::try_from(reader.take_u32()?).ok()?;
        reader.take(length)?;
        if !name[0].is_ascii_uppercase() && name != b"sdir" {
            return None;
        }
    }
    Some(hasher.finalize())
}

/// Reader of an index; numbers are big-endian.
struct IndexReader<'a> {
    rest: &'a [u8],
}

impl<'a> IndexReader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn take_u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn take_u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// Takes a string and the zero at its end.
    fn take_string(&mut self) -> Option<&'a [u8]> {
        let length = self.rest.iter().position(|byte| *byte == 0)?;
        let text = self.take(length)?;
        self.take(1)?;
        Some(text)
    }

    /// Takes a number of seven bits a byte, as Git writes offsets.
    fn take_offset(&mut self) -> Option<usize> {
        let mut byte = self.take(1)?[0];
        let mut value = usize::from(byte & 0x7f);
        while byte & 0x80 != 0 {
            byte = self.take(1)?[0];
            value = value.checked_add(1)?.checked_mul(128)?.checked_add(usize::from(byte & 0x7f))?;
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    fn git(directory: &Path, arguments: &[&str]) {
        let done = Command::new("git").arg("-C").arg(directory).args(arguments).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn digest(directory: &Path) -> Option<blake3::Hash> {
        digest_index_entries(&fs_err::read(directory.join(".git/index")).unwrap())
    }

    #[test]
    fn only_entries_count() {
        for (format, version) in [("sha1", "2"), ("sha1", "3"), ("sha1", "4"), ("sha256", "2"), ("sha256", "4")] {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path();
            git(root, &["init", "--quiet", "--object-format", format]);
            for name in ["a", "long/name/of a file", "long/name/of another", "b"] {
                fs_err::create_dir_all(root.join(name).parent().unwrap()).unwrap();
                fs_err::write(root.join(name), name).unwrap();
            }
            git(root, &["add", "."]);
            if version == "3" {
                git(root, &["update-index", "--skip-worktree", "a"]);
            }
            git(root, &["update-index", "--index-version", version]);
            let shown = format!("{format} {version}");
            let before = fs_err::read(root.join(".git/index")).unwrap();
            assert_eq!(before[7].to_string(), version, "{shown}");
            let first = digest(root);
            assert!(first.is_some(), "{shown}");
            // A cached tree, and other times.
            git(root, &["write-tree"]);
            let file = fs_err::File::options().write(true).open(root.join("b")).unwrap();
            file.into_parts().0.set_modified(std::time::UNIX_EPOCH).unwrap();
            git(root, &["update-index", "--refresh"]);
            assert_ne!(fs_err::read(root.join(".git/index")).unwrap(), before, "{shown}");
            assert_eq!(digest(root), first, "{shown}");
            git(root, &["update-index", "--chmod=+x", "b"]);
            let executable = digest(root);
            assert_ne!(executable, first, "{shown}");
            fs_err::write(root.join("b"), "more").unwrap();
            git(root, &["add", "b"]);
            assert_ne!(digest(root), executable, "{shown}");
            git(root, &["update-index", "--split-index"]);
            assert_eq!(digest(root), None, "{shown}");
        }
        for bytes in [&b""[..], b"DIRC", &[b'D'; 100], b"DIRC\0\0\0\x02\0\0\0\x01 cut short, and then the checksum"] {
            assert_eq!(digest_index_entries(bytes), None);
        }
    }
}
