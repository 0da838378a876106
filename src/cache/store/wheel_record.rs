//! The `RECORD` of a wheel: the digest of every file in it.

use std::collections::HashMap;
use std::path::Path;

use sha2::Digest;

use crate::fs::{Sha256Digest, read_regular_file, safe_relative_path};

use super::damage::Damage;
use super::tree_listing::{TreeListing, TreeNode, TreeNodeKind};

/// Maximum size of `RECORD` in bytes: enough for a million files.
const MAX_RECORD_BYTES: u64 = 256 << 20;

/// A line of `RECORD`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RecordLine {
    path: String,
    digest: String,
    size: Option<u64>,
}

/// Compares a listing with the `RECORD` in its tree, and returns each file that differs.
///
/// The digests in the listing must be those of the files in `tree`. Files are read again only if `RECORD` uses another
/// digest than SHA-256.
pub(super) fn find_wheel_record_damage(listing: &TreeListing, tree: &Path) -> Vec<(String, Damage)> {
    let entry_damage = |damage: Damage| vec![(String::new(), damage)];
    let (path, text) = match read_wheel_record(listing, tree) {
        Ok(found) => found,
        Err(damage) => return entry_damage(damage),
    };
    let lines = match parse_record(&text) {
        Some(lines) => lines,
        None => return entry_damage(Damage::InvalidWheelRecord(format!("{path} is malformed"))),
    };
    let mut expected: HashMap<&str, &RecordLine> = lines.iter().map(|line| (line.path.as_str(), line)).collect();
    let mut found = Vec::new();
    for node in listing.nodes.iter().filter(|node| !matches!(node.kind, TreeNodeKind::EmptyDirectory)) {
        // RECORD cannot contain its own digest, nor those of its signatures.
        let is_own = node.path == path || node.path == format!("{path}.jws") || node.path == format!("{path}.p7s");
        match expected.remove(node.path.as_str()) {
            None if is_own => {}
            None => found.push((node.path.clone(), Damage::Unlisted)),
            Some(_) if is_own => {}
            Some(line) => {
                found.extend(compare_file(node, line, tree).map(|damage| (node.path.clone(), damage)));
            }
        }
    }
    for line in lines.iter().filter(|line| expected.contains_key(line.path.as_str())) {
        // A path out of the entry is reported and never followed.
        let damage = if safe_relative_path(&line.path).is_some() { Damage::Missing } else { Damage::InvalidPath };
        found.push((line.path.clone(), damage));
    }
    found
}

/// Returns the path and text of the `RECORD` in the only `.dist-info` directory.
fn read_wheel_record(listing: &TreeListing, tree: &Path) -> Result<(String, String), Damage> {
    let at_top = |path: &str| path.strip_suffix(".dist-info/RECORD").is_some_and(|name| !name.contains('/'));
    let mut all = listing.nodes.iter().filter(|node| at_top(&node.path));
    match (all.next(), all.next()) {
        (Some(node), None) => {
            let invalid = |reason: String| Damage::InvalidWheelRecord(reason);
            let bytes = read_regular_file(&tree.join(&node.path), MAX_RECORD_BYTES);
            let text = String::from_utf8(bytes.map_err(|error| invalid(error.to_string()))?);
            let text = text.map_err(|error| invalid(error.to_string()))?;
            Ok((node.path.clone(), text))
        }
        (None, _) => Err(Damage::InvalidWheelRecord("there is none".to_owned())),
        _ => Err(Damage::InvalidWheelRecord("there are several".to_owned())),
    }
}

fn compare_file(node: &TreeNode, line: &RecordLine, tree: &Path) -> Option<Damage> {
    let TreeNodeKind::File { sha256, size, .. } = &node.kind else { return Some(Damage::FileTypeMismatch) };
    if let Some(listed) = line.size.filter(|listed| listed != size) {
        return Some(Damage::SizeMismatch { listed, found: *size });
    }
    let is_equal = match line.digest.split_once('=') {
        // Python allows a line without a digest; the file is then covered only by the listing.
        None if line.digest.is_empty() => true,
        Some(("sha256", digest)) => Sha256Digest::from_base64_url(digest) == Some(*sha256),
        Some((name @ ("sha384" | "sha512"), digest)) => {
            let Ok(bytes) = read_regular_file(&tree.join(&node.path), *size) else { return Some(Damage::Missing) };
            let found = match name {
                "sha384" => crate::fs::encode_base64_url(&sha2::Sha384::digest(&bytes)),
                _ => crate::fs::encode_base64_url(&sha2::Sha512::digest(&bytes)),
            };
            found == digest.trim_end_matches('=')
        }
        _ => return Some(Damage::InvalidWheelRecord(format!("unknown digest algorithm: {}", line.digest))),
    };
    (!is_equal).then_some(Damage::ContentMismatch)
}

/// Parses the three columns as Python's csv module writes them.
fn parse_record(text: &str) -> Option<Vec<RecordLine>> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut fields = Vec::new();
        loop {
            let (field, after, more) = parse_csv_field(rest)?;
            fields.push(field);
            rest = after;
            if !more {
                break;
            }
        }
        match fields.as_slice() {
            [only] if only.is_empty() => {}
            [path, digest, size] => lines.push(RecordLine {
                path: path.clone(),
                digest: digest.clone(),
                size: if size.is_empty() { None } else { Some(size.parse().ok()?) },
            }),
            _ => return None,
        }
    }
    Some(lines)
}

/// Parses one field; returns it, the rest, and whether another field of the same line follows.
fn parse_csv_field(text: &str) -> Option<(String, &str, bool)> {
    let mut value = String::new();
    let rest;
    if let Some(mut quoted) = text.strip_prefix('"') {
        loop {
            let end = quoted.find('"')?;
            value.push_str(&quoted[..end]);
            let after = &quoted[end + 1..];
            let Some(more) = after.strip_prefix('"') else {
                rest = after;
                break;
            };
            value.push('"');
            quoted = more;
        }
    } else {
        let end = text.find([',', '\n']).unwrap_or(text.len());
        value.push_str(text[..end].trim_end_matches('\r'));
        rest = &text[end..];
    }
    let rest = rest.strip_prefix('\r').unwrap_or(rest);
    match rest.as_bytes().first() {
        Some(b',') => Some((value, &rest[1..], true)),
        Some(b'\n') => Some((value, &rest[1..], false)),
        None => Some((value, "", false)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a tree with these files and this RECORD, and its listing.
    fn tree(files: &[(&str, &str)], record: &str) -> (tempfile::TempDir, TreeListing) {
        let directory = tempfile::tempdir().unwrap();
        let mut nodes = Vec::new();
        for (path, text) in files.iter().copied().chain([("a-1.dist-info/RECORD", record)]) {
            let file = directory.path().join(path);
            fs_err::create_dir_all(file.parent().unwrap()).unwrap();
            fs_err::write(file, text).unwrap();
            let kind = TreeNodeKind::File {
                sha256: Sha256Digest::hash_bytes(text.as_bytes()),
                size: text.len() as u64,
                executable: false,
                inode: 0,
                modified: 0,
                changed: 0,
            };
            nodes.push(TreeNode { path: path.to_owned(), kind });
        }
        (directory, TreeListing::new(nodes))
    }

    fn line(path: &str, text: &str) -> String {
        format!(
            "{path},sha256={},{}\n",
            crate::fs::encode_base64_url(&Sha256Digest::hash_bytes(text.as_bytes()).0),
            text.len()
        )
    }

    fn damaged_paths(files: &[(&str, &str)], record: &str) -> Vec<(String, Damage)> {
        let (directory, listing) = tree(files, record);
        find_wheel_record_damage(&listing, directory.path())
    }

    #[test]
    fn a_wheel_that_matches_its_record_has_no_damage() {
        let files =
            [("a.py", "1"), ("b,\"c.py", "2"), ("big", "3"), ("bigger", "4"), ("a-1.dist-info/RECORD.jws", "5")];
        let other_lines = "a-1.dist-info/RECORD,,\r\n\nbig,sha512=";
        let record = line("a.py", "1")
            + &line("\"b,\"\"c.py\"", "2")
            + other_lines
            + &crate::fs::encode_base64_url(&sha2::Sha512::digest(b"3"))
            + ",\nbigger,sha384="
            + &crate::fs::encode_base64_url(&sha2::Sha384::digest(b"4"))
            + ",1";
        assert_eq!(damaged_paths(&files, &record), []);
    }

    #[test]
    fn each_kind_of_damage_is_reported() {
        let one = |files: &[(&str, &str)], record: &str| damaged_paths(files, record).remove(0);
        assert_eq!(one(&[("a", "1")], ""), ("a".to_owned(), Damage::Unlisted));
        assert_eq!(one(&[("a", "1")], &line("a", "2")), ("a".to_owned(), Damage::ContentMismatch));
        assert_eq!(
            one(&[("a", "1")], &line("a", "22")),
            ("a".to_owned(), Damage::SizeMismatch { listed: 2, found: 1 })
        );
        assert_eq!(one(&[], &line("a", "1")), ("a".to_owned(), Damage::Missing));
        assert_eq!(one(&[], &line("../../a", "1")), ("../../a".to_owned(), Damage::InvalidPath));
        assert_eq!(one(&[("a", "1")], "a,sha512=x,1"), ("a".to_owned(), Damage::ContentMismatch));
        assert!(matches!(one(&[("a", "1")], "a,md5=x,1").1, Damage::InvalidWheelRecord(_)));
        for none in ["a,b", "a,,x", "\"a", "\"a\"b,,"] {
            assert!(matches!(one(&[], none).1, Damage::InvalidWheelRecord(_)), "{none}");
        }
        assert_eq!(damaged_paths(&[("a", "1")], "a,,\n"), [], "a line may have no digest");
    }

    #[test]
    fn a_wheel_has_exactly_one_record() {
        let (directory, mut listing) = tree(&[("b-1.dist-info/RECORD", "")], "");
        assert!(
            matches!(&find_wheel_record_damage(&listing, directory.path())[0].1, Damage::InvalidWheelRecord(reason) if reason == "there are several")
        );
        listing.nodes.clear();
        assert!(
            matches!(&find_wheel_record_damage(&listing, directory.path())[0].1, Damage::InvalidWheelRecord(reason) if reason == "there is none")
        );
        let (directory, listing) = tree(&[], "");
        fs_err::remove_file(directory.path().join("a-1.dist-info/RECORD")).unwrap();
        assert!(matches!(&find_wheel_record_damage(&listing, directory.path())[0].1, Damage::InvalidWheelRecord(_)));
    }
}
