//! The `.pyc` format: paths of bytecode, and conversion to the unchecked-hash form of PEP 552.

use std::path::Path;

use crate::fs::open_regular_file;

use super::damage::Damage;
use super::tree_listing::{TreeListing, TreeNodeKind};

/// Size of the header: magic number, flags, and the time and size or the hash of the source.
const HEADER_LEN: usize = 16;
/// Flags of bytecode that Python loads without checking the source.
const UNCHECKED_HASH_FLAGS: [u8; 4] = [1, 0, 0, 0];
/// Flags of bytecode that Python loads if the source has the recorded time and size.
const TIMESTAMP_FLAGS: [u8; 4] = [0; 4];

/// Returns the paths of the bytecode of a module in a package, for each optimization level. Returns `None` for a
/// top-level module: installers do not remove its bytecode, which would outlive the source.
pub(super) fn pyc_paths(source: &str, tag: &str) -> Option<[String; 3]> {
    let (directory, file) = source.rsplit_once('/')?;
    let stem = file.strip_suffix(".py")?;
    Some(["", ".opt-1", ".opt-2"].map(|suffix| format!("{directory}/__pycache__/{stem}.{tag}{suffix}.pyc")))
}

/// Converts timestamp-based bytecode to unchecked-hash bytecode. Returns `None` if it does not belong to a source with
/// this modification time (in seconds since 1970) and size, or has another form.
///
/// The hash is zero: with `--check-hash-based-pycs always`, Python compiles the source again.
pub(super) fn to_unchecked_hash(bytes: &[u8], modified: i64, size: u64) -> Option<Vec<u8>> {
    let header = bytes.get(..HEADER_LEN)?;
    // Both are stored modulo 2^32.
    let expected = [modified as u32, size as u32].map(u32::to_le_bytes).concat();
    if !has_pyc_magic(header) || header[4..8] != TIMESTAMP_FLAGS || header[8..] != expected {
        return None;
    }
    Some([&header[..4], &UNCHECKED_HASH_FLAGS, &[0; 8], &bytes[HEADER_LEN..]].concat())
}

/// Returns the files of a tree that are not unchecked-hash bytecode at a path where Python looks for it.
pub(super) fn find_bytecode_damage(listing: &TreeListing, tree: &Path) -> Vec<(String, Damage)> {
    let damaged_paths = listing.nodes.iter().filter(|node| {
        let is_plain_file = matches!(node.kind, TreeNodeKind::File { executable: false, .. });
        !(is_plain_file && is_pyc_path(&node.path) && has_unchecked_hash(&tree.join(&node.path)))
    });
    damaged_paths.map(|node| (node.path.clone(), Damage::InvalidBytecode)).collect()
}

fn is_pyc_path(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    let is_file = parts.next().is_some_and(|name| name.ends_with(".pyc"));
    is_file && parts.next() == Some("__pycache__") && parts.next().is_some()
}

fn has_unchecked_hash(path: &Path) -> bool {
    use std::io::Read;
    let mut header = [0; HEADER_LEN];
    let read = open_regular_file(path).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && has_pyc_magic(&header) && header[4..8] == UNCHECKED_HASH_FLAGS
}

fn has_pyc_magic(header: &[u8]) -> bool {
    header[2..4] == *b"\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_modules_in_packages_have_bytecode_paths() {
        let [plain, one, two] = pyc_paths("a/b.py", "cpython-311").unwrap();
        assert_eq!(plain, "a/__pycache__/b.cpython-311.pyc");
        assert_eq!((one.contains(".opt-1."), two.contains(".opt-2.")), (true, true));
        assert!(is_pyc_path(&plain));
        assert_eq!((pyc_paths("six.py", "cpython-311"), pyc_paths("a/b.pyi", "cpython-311")), (None, None));
        for invalid in ["__pycache__/six.cpython-311.pyc", "a/b.pyc", "a/__pycache__/b.pth", "b.pyc"] {
            assert!(!is_pyc_path(invalid), "{invalid}");
        }
    }

    #[test]
    fn only_bytecode_of_the_same_source_is_converted() {
        let time = (1_i64 << 32) + 7;
        let header =
            [b"\xa7\x0d\r\n".as_slice(), &TIMESTAMP_FLAGS, &7_u32.to_le_bytes(), &9_u32.to_le_bytes()].concat();
        let bytes = [&header, b"code".as_slice()].concat();
        let made = to_unchecked_hash(&bytes, time, 9).unwrap();
        assert_eq!(made, [b"\xa7\x0d\r\n".as_slice(), &UNCHECKED_HASH_FLAGS, &[0; 8], b"code"].concat());
        assert_eq!(to_unchecked_hash(&bytes, time + 1, 9), None, "the source is newer");
        assert_eq!(to_unchecked_hash(&bytes, time, 8), None, "the source is shorter");
        assert_eq!(to_unchecked_hash(&made, time, 9), None, "it is converted already");
        assert_eq!(to_unchecked_hash(&bytes[..15], time, 9), None);
        assert_eq!(to_unchecked_hash(&[b"PK12".as_slice(), &bytes[4..]].concat(), time, 9), None);
    }
}
