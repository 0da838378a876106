//! The form in which bytecode is kept: unchecked-hash (PEP 552), of modules in packages.

use std::path::Path;

use super::corruption::Corruption;
use super::tree_manifest::{TreeManifest, TreeNodeKind};

/// Bytes before the code: magic number, flags, and the source's time and size or its hash.
const HEADER_LEN: usize = 16;
/// Flags of bytecode that Python takes without a look at the source.
const UNCHECKED_HASH_FLAGS: [u8; 4] = [1, 0, 0, 0];
/// Flags of bytecode that Python takes where its source has this time and size.
const TIMESTAMP_FLAGS: [u8; 4] = [0; 4];

/// Where Python keeps the bytecode of a module in a package, at every level of optimisation. None of a module beside
/// packages: installers leave its bytecode where they remove it, and it would outlive its source.
pub(super) fn pyc_paths(source: &str, tag: &str) -> Option<[String; 3]> {
    let (folder, file) = source.rsplit_once('/')?;
    let stem = file.strip_suffix(".py")?;
    Some(["", ".opt-1", ".opt-2"].map(|level| format!("{folder}/__pycache__/{stem}.{tag}{level}.pyc")))
}

/// Bytecode as Python wrote it, in the form that is kept; none where it is not of a source of this time (whole seconds
/// since 1970) and size, or not of that form.
///
/// The hash is left zero: a Python that is told to check all the same (`--check-hash-based-pycs always`) compiles anew.
pub(super) fn to_unchecked_hash(bytes: &[u8], modified: i64, size: u64) -> Option<Vec<u8>> {
    let head = bytes.get(..HEADER_LEN)?;
    // Both are kept modulo 2^32.
    let known = [modified as u32, size as u32].map(u32::to_le_bytes).concat();
    if !has_pyc_magic(head) || head[4..8] != TIMESTAMP_FLAGS || head[8..] != known {
        return None;
    }
    Some([&head[..4], &UNCHECKED_HASH_FLAGS, &[0; 8], &bytes[HEADER_LEN..]].concat())
}

/// What in a tree is no bytecode in the form that is kept, at a place where Python looks for it.
pub(super) fn find_bytecode_faults(listing: &TreeManifest, tree: &Path) -> Vec<(String, Corruption)> {
    let faults = listing.nodes.iter().filter(|item| {
        let plain = matches!(item.kind, TreeNodeKind::File { executable: false, .. });
        !(plain && is_pyc_path(&item.path) && has_unchecked_hash(&tree.join(&item.path)))
    });
    faults.map(|item| (item.path.clone(), Corruption::InvalidBytecode)).collect()
}

fn is_pyc_path(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    let is_file = parts.next().is_some_and(|name| name.ends_with(".pyc"));
    is_file && parts.next() == Some("__pycache__") && parts.next().is_some()
}

fn has_unchecked_hash(path: &Path) -> bool {
    use std::io::Read;
    let mut head = [0; HEADER_LEN];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && has_pyc_magic(&head) && head[4..8] == UNCHECKED_HASH_FLAGS
}

fn has_pyc_magic(head: &[u8]) -> bool {
    head[2..4] == *b"\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_modules_in_packages_have_a_place() {
        let [plain, one, two] = pyc_paths("a/b.py", "cpython-311").unwrap();
        assert_eq!(plain, "a/__pycache__/b.cpython-311.pyc");
        assert_eq!((one.contains(".opt-1."), two.contains(".opt-2.")), (true, true));
        assert!(is_pyc_path(&plain));
        assert_eq!((pyc_paths("six.py", "cpython-311"), pyc_paths("a/b.pyi", "cpython-311")), (None, None));
        for wrong in ["__pycache__/six.cpython-311.pyc", "a/b.pyc", "a/__pycache__/b.pth", "b.pyc"] {
            assert!(!is_pyc_path(wrong), "{wrong}");
        }
    }

    #[test]
    fn only_what_fits_its_source_changes_its_form() {
        let time = (1_i64 << 32) + 7;
        let head = [b"\xa7\x0d\r\n".as_slice(), &TIMESTAMP_FLAGS, &7_u32.to_le_bytes(), &9_u32.to_le_bytes()].concat();
        let bytes = [&head, b"code".as_slice()].concat();
        let made = to_unchecked_hash(&bytes, time, 9).unwrap();
        assert_eq!(made, [b"\xa7\x0d\r\n".as_slice(), &UNCHECKED_HASH_FLAGS, &[0; 8], b"code"].concat());
        assert_eq!(to_unchecked_hash(&bytes, time + 1, 9), None, "its source is newer");
        assert_eq!(to_unchecked_hash(&bytes, time, 8), None, "its source is shorter");
        assert_eq!(to_unchecked_hash(&made, time, 9), None, "it has that form already");
        assert_eq!(to_unchecked_hash(&bytes[..15], time, 9), None);
        assert_eq!(to_unchecked_hash(&[b"PK12".as_slice(), &bytes[4..]].concat(), time, 9), None);
    }
}
