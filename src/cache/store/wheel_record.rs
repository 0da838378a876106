//! A wheel's own `RECORD`: the digest of every file in it.

use std::collections::HashMap;
use std::path::Path;

use sha2::Digest;

use crate::fs::{Sha256Digest, safe_relative_path};

use super::corruption::Corruption;
use super::tree_manifest::{TreeManifest, TreeNode, TreeNodeKind};

/// One line of a RECORD.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RecordLine {
    path: String,
    digest: String,
    size: Option<u64>,
}

/// Compares a listing with the RECORD in its tree; gives each file that is wrong.
///
/// The listing's digests must be those of the bytes in `tree`: a RECORD that names its files by another digest than
/// SHA-256 has them read again.
pub(super) fn find_record_faults(listing: &TreeManifest, tree: &Path) -> Vec<(String, Corruption)> {
    let whole = |why: String| vec![(String::new(), Corruption::InvalidRecord(why))];
    let (path, text) = match read_record(listing, tree) {
        Ok(found) => found,
        Err(why) => return whole(why),
    };
    let lines = match parse_record(&text) {
        Some(lines) => lines,
        None => return whole(format!("{path} is no list of files")),
    };
    let mut expected: HashMap<&str, &RecordLine> = lines.iter().map(|line| (line.path.as_str(), line)).collect();
    let mut found = Vec::new();
    for item in listing.nodes.iter().filter(|item| !matches!(item.kind, TreeNodeKind::EmptyFolder)) {
        // The record cannot hold its own digest, nor can signatures of it.
        let own = item.path == path || item.path == format!("{path}.jws") || item.path == format!("{path}.p7s");
        match expected.remove(item.path.as_str()) {
            None if own => {}
            None => found.push((item.path.clone(), Corruption::Unlisted)),
            Some(_) if own => {}
            Some(line) => found.extend(compare_file(item, line, tree).map(|wrong| (item.path.clone(), wrong))),
        }
    }
    for line in lines.iter().filter(|line| expected.contains_key(line.path.as_str())) {
        // A path that leads out is named as such: it is never followed.
        let wrong =
            if safe_relative_path(&line.path).is_some() { Corruption::Missing } else { Corruption::InvalidPath };
        found.push((line.path.clone(), wrong));
    }
    found
}

/// The RECORD of the one `.dist-info` folder: its path and text.
fn read_record(listing: &TreeManifest, tree: &Path) -> Result<(String, String), String> {
    let at_top = |path: &str| path.strip_suffix(".dist-info/RECORD").is_some_and(|name| !name.contains('/'));
    let mut all = listing.nodes.iter().filter(|item| at_top(&item.path));
    match (all.next(), all.next()) {
        (Some(item), None) => {
            let text = std::fs::read_to_string(tree.join(&item.path)).map_err(|error| error.to_string())?;
            Ok((item.path.clone(), text))
        }
        (None, _) => Err("there is none".to_owned()),
        _ => Err("there are several".to_owned()),
    }
}

fn compare_file(item: &TreeNode, line: &RecordLine, tree: &Path) -> Option<Corruption> {
    let TreeNodeKind::File { sha256, size, .. } = &item.kind else { return Some(Corruption::FileTypeMismatch) };
    if let Some(listed) = line.size.filter(|listed| listed != size) {
        return Some(Corruption::SizeMismatch { listed, found: *size });
    }
    let same = match line.digest.split_once('=') {
        // Python allows a line without a digest; what it names is then known by our own listing alone.
        None if line.digest.is_empty() => true,
        Some(("sha256", digest)) => Sha256Digest::from_base64_url(digest) == Some(*sha256),
        Some((name @ ("sha384" | "sha512"), digest)) => {
            let Ok(bytes) = std::fs::read(tree.join(&item.path)) else { return Some(Corruption::Missing) };
            let found = match name {
                "sha384" => crate::fs::encode_base64_url(&sha2::Sha384::digest(&bytes)),
                _ => crate::fs::encode_base64_url(&sha2::Sha512::digest(&bytes)),
            };
            found == digest.trim_end_matches('=')
        }
        _ => return Some(Corruption::InvalidRecord(format!("a digest of unknown kind: {}", line.digest))),
    };
    (!same).then_some(Corruption::ContentMismatch)
}

/// Reads the three columns as Python's csv module writes them.
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

/// One field, what follows it, and whether that is another field of the same line.
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

    /// A tree with these files and this RECORD, and its listing.
    fn tree(files: &[(&str, &str)], record: &str) -> (tempfile::TempDir, TreeManifest) {
        let folder = tempfile::tempdir().unwrap();
        let mut items = Vec::new();
        for (path, text) in files.iter().copied().chain([("a-1.dist-info/RECORD", record)]) {
            let place = folder.path().join(path);
            fs_err::create_dir_all(place.parent().unwrap()).unwrap();
            fs_err::write(place, text).unwrap();
            let what = TreeNodeKind::File {
                sha256: Sha256Digest::hash_bytes(text.as_bytes()),
                size: text.len() as u64,
                executable: false,
                inode: 0,
                modified: 0,
                changed: 0,
            };
            items.push(TreeNode { path: path.to_owned(), kind: what });
        }
        (folder, TreeManifest::new(items))
    }

    fn line(path: &str, text: &str) -> String {
        format!(
            "{path},sha256={},{}\n",
            crate::fs::encode_base64_url(&Sha256Digest::hash_bytes(text.as_bytes()).0),
            text.len()
        )
    }

    fn wrongs(files: &[(&str, &str)], record: &str) -> Vec<(String, Corruption)> {
        let (folder, listing) = tree(files, record);
        find_record_faults(&listing, folder.path())
    }

    #[test]
    fn a_good_wheel_is_good() {
        let files =
            [("a.py", "1"), ("b,\"c.py", "2"), ("big", "3"), ("bigger", "4"), ("a-1.dist-info/RECORD.jws", "5")];
        let own = "a-1.dist-info/RECORD,,\r\n\nbig,sha512=";
        let record = line("a.py", "1")
            + &line("\"b,\"\"c.py\"", "2")
            + own
            + &crate::fs::encode_base64_url(&sha2::Sha512::digest(b"3"))
            + ",\nbigger,sha384="
            + &crate::fs::encode_base64_url(&sha2::Sha384::digest(b"4"))
            + ",1";
        assert_eq!(wrongs(&files, &record), []);
    }

    #[test]
    fn each_fault_is_named() {
        let one = |files: &[(&str, &str)], record: &str| wrongs(files, record).remove(0);
        assert_eq!(one(&[("a", "1")], ""), ("a".to_owned(), Corruption::Unlisted));
        assert_eq!(one(&[("a", "1")], &line("a", "2")), ("a".to_owned(), Corruption::ContentMismatch));
        assert_eq!(
            one(&[("a", "1")], &line("a", "22")),
            ("a".to_owned(), Corruption::SizeMismatch { listed: 2, found: 1 })
        );
        assert_eq!(one(&[], &line("a", "1")), ("a".to_owned(), Corruption::Missing));
        assert_eq!(one(&[], &line("../../a", "1")), ("../../a".to_owned(), Corruption::InvalidPath));
        assert_eq!(one(&[("a", "1")], "a,sha512=x,1"), ("a".to_owned(), Corruption::ContentMismatch));
        assert!(matches!(one(&[("a", "1")], "a,md5=x,1").1, Corruption::InvalidRecord(_)));
        for none in ["a,b", "a,,x", "\"a", "\"a\"b,,"] {
            assert!(matches!(one(&[], none).1, Corruption::InvalidRecord(_)), "{none}");
        }
        assert_eq!(wrongs(&[("a", "1")], "a,,\n"), [], "a line may go without a digest");
    }

    #[test]
    fn one_record_and_no_more() {
        let (folder, mut listing) = tree(&[("b-1.dist-info/RECORD", "")], "");
        assert!(
            matches!(&find_record_faults(&listing, folder.path())[0].1, Corruption::InvalidRecord(why) if why == "there are several")
        );
        listing.nodes.clear();
        assert!(
            matches!(&find_record_faults(&listing, folder.path())[0].1, Corruption::InvalidRecord(why) if why == "there is none")
        );
        let (folder, listing) = tree(&[], "");
        fs_err::remove_file(folder.path().join("a-1.dist-info/RECORD")).unwrap();
        assert!(matches!(&find_record_faults(&listing, folder.path())[0].1, Corruption::InvalidRecord(_)));
    }
}
