//! What an entry's tree holds, a line each: the text kept in its facts.

use std::path::Path;

use thiserror::Error;

use crate::fs::{Sha256Digest, is_symlink_contained, safe_relative_path};

use super::corruption::Corruption;

/// One thing in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeNode {
    /// Where, from the root of the tree on.
    pub path: String,
    /// What.
    pub kind: TreeNodeKind,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeNodeKind {
    /// A regular file.
    File {
        /// Digest of its bytes.
        sha256: Sha256Digest,
        /// Bytes.
        size: u64,
        /// Whether its owner may run it.
        executable: bool,
        /// Its number in the store's file system when it was last verified.
        inode: u64,
        /// Its last write then, nanoseconds since 1970.
        modified: i64,
        /// Its last change of any kind then, nanoseconds since 1970.
        changed: i64,
    },
    /// A symbolic link.
    Symlink {
        /// What it says.
        target: String,
    },
    /// A folder with nothing in it; others show in the paths of what they hold.
    EmptyFolder,
}

/// All of a tree, sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeManifest {
    /// What there is.
    pub nodes: Vec<TreeNode>,
}

/// Why a text is no listing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line} of the listing: {corruption}")]
pub(crate) struct TreeManifestError {
    /// The line, from 1 on.
    pub(crate) line: usize,
    /// What is wrong with it.
    pub(crate) corruption: Corruption,
}

impl TreeManifest {
    /// Sorts what was found.
    pub fn new(mut items: Vec<TreeNode>) -> Self {
        items.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Self { nodes: items }
    }

    /// The files.
    pub fn files(&self) -> impl Iterator<Item = &TreeNode> {
        self.nodes.iter().filter(|item| matches!(item.kind, TreeNodeKind::File { .. }))
    }

    /// Bytes of all files.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.nodes.iter().map(|item| if let TreeNodeKind::File { size, .. } = item.kind { size } else { 0 }).sum()
    }

    /// The digest of the tree: of what every machine agrees on, and nothing else.
    pub(crate) fn tree_digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for item in &self.nodes {
            let line = match &item.kind {
                TreeNodeKind::File { sha256, size, executable, .. } => {
                    format!("f {} {size} {} {}\n", if *executable { "x" } else { "-" }, sha256, item.path)
                }
                TreeNodeKind::Symlink { target } => format!("l {target} {}\n", item.path),
                TreeNodeKind::EmptyFolder => format!("d {}\n", item.path),
            };
            hasher.update(&(line.len() as u64).to_le_bytes());
            hasher.update(line.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The text: `f`, `x` (a file that may be run), `l` or `d`, then what is known, then the path, between tabs.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::with_capacity(self.nodes.len() * 160);
        for item in &self.nodes {
            match &item.kind {
                TreeNodeKind::File { sha256, size, executable, inode, modified, changed } => {
                    let letter = if *executable { 'x' } else { 'f' };
                    text.push_str(&format!("{letter}\t{sha256}\t{size}\t{inode}\t{modified}\t{changed}\t"));
                }
                TreeNodeKind::Symlink { target } => text.push_str(&format!("l\t{}\t", escape_field(target))),
                TreeNodeKind::EmptyFolder => text.push_str("d\t"),
            }
            text.push_str(&escape_field(&item.path));
            text.push('\n');
        }
        text
    }

    /// Reads the text again. Every path in it stays inside the tree, or it is no listing.
    ///
    /// # Errors
    /// At the first line that is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, TreeManifestError> {
        let mut items: Vec<TreeNode> = Vec::with_capacity(text.len() / 140);
        let mut links: Vec<usize> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let at = |wrong| TreeManifestError { line: number + 1, corruption: wrong };
            let item = parse_node(line).map_err(at)?;
            match items.last().map(|last| last.path.cmp(&item.path)) {
                Some(std::cmp::Ordering::Equal) => return Err(at(Corruption::DuplicatePath)),
                Some(std::cmp::Ordering::Greater) => {
                    return Err(at(Corruption::InvalidMeta("not in order".to_owned())));
                }
                _ => {}
            }
            if is_through_symlink(&items, &links, &item.path) {
                return Err(at(Corruption::InvalidPath));
            }
            if matches!(item.kind, TreeNodeKind::Symlink { .. }) {
                links.push(items.len());
            }
            items.push(item);
        }
        Ok(Self { nodes: items })
    }
}

/// Whether a path goes through one of the links before it.
fn is_through_symlink(items: &[TreeNode], links: &[usize], path: &str) -> bool {
    links.iter().any(|link| path.strip_prefix(&items[*link].path).is_some_and(|rest| rest.starts_with('/')))
}

fn parse_node(line: &str) -> Result<TreeNode, Corruption> {
    let facts = || Corruption::InvalidMeta("a line that is no line of a listing".to_owned());
    let mut fields = line.split('\t');
    let letter = fields.next().unwrap_or_default();
    let mut field = || fields.next().ok_or_else(facts);
    let what = match letter {
        "f" | "x" => TreeNodeKind::File {
            sha256: Sha256Digest::from_hex(field()?).ok_or_else(facts)?,
            size: field()?.parse().map_err(|_| facts())?,
            executable: letter == "x",
            inode: field()?.parse().map_err(|_| facts())?,
            modified: field()?.parse().map_err(|_| facts())?,
            changed: field()?.parse().map_err(|_| facts())?,
        },
        "l" => TreeNodeKind::Symlink { target: unescape_field(field()?) },
        "d" => TreeNodeKind::EmptyFolder,
        _ => return Err(facts()),
    };
    let path = unescape_field(field()?);
    if fields.next().is_some() {
        return Err(facts());
    }
    let inner = safe_relative_path(&path).ok_or(Corruption::InvalidPath)?;
    if let TreeNodeKind::Symlink { target } = &what
        && !is_symlink_contained(inner, Path::new(target))
    {
        return Err(Corruption::EscapingSymlink(target.clone()));
    }
    Ok(TreeNode { path, kind: what })
}

fn escape_field(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains(['\\', '\t', '\n', '\r']) {
        return text.into();
    }
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r").into()
}

fn unescape_field(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        out.push(match character {
            '\\' => match characters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> TreeNode {
        let what = TreeNodeKind::File {
            sha256: Sha256Digest::hash_bytes(path.as_bytes()),
            size: 3,
            executable: path.ends_with('x'),
            inode: 7,
            modified: -1,
            changed: 2,
        };
        TreeNode { path: path.to_owned(), kind: what }
    }

    fn link(path: &str, target: &str) -> TreeNode {
        TreeNode { path: path.to_owned(), kind: TreeNodeKind::Symlink { target: target.to_owned() } }
    }

    #[test]
    fn a_listing_is_read_as_it_was_written() {
        let folder = TreeNode { path: "empty".to_owned(), kind: TreeNodeKind::EmptyFolder };
        let strange = ["z\\t\ttab", "new\nline\r", "a/b", "bin/x", "ä"];
        let listing = TreeManifest::new(
            strange.iter().map(|path| file(path)).chain([link("lib64", "a/b\t\\"), folder]).collect(),
        );
        assert_eq!(TreeManifest::parse(&listing.to_text()), Ok(listing.clone()));
        assert_eq!((listing.files().count(), listing.total_bytes()), (5, 15));
        let mut elsewhere = listing.clone();
        if let TreeNodeKind::File { inode, modified, changed, .. } = &mut elsewhere.nodes[0].kind {
            (*inode, *modified, *changed) = (1, 2, 3);
        }
        assert_eq!(elsewhere.tree_digest(), listing.tree_digest(), "numbers of one machine do not count");
        if let TreeNodeKind::File { executable, .. } = &mut elsewhere.nodes[0].kind {
            *executable = true;
        }
        assert_ne!(elsewhere.tree_digest(), listing.tree_digest());
    }

    #[test]
    fn what_leads_out_is_no_listing() {
        let text = |items: Vec<TreeNode>| TreeManifest { nodes: items }.to_text();
        for (wrong, line) in [
            (text(vec![file("../a")]), 1),
            (text(vec![file("a"), file("/etc/passwd")]), 2),
            (text(vec![link("a", "/etc")]), 1),
            (text(vec![link("a/b", "../../c")]), 1),
            (text(vec![link("a", "b"), file("a!"), file("a/passwd")]), 3),
            (text(vec![file("a"), file("a")]), 2),
            (text(vec![file("b"), file("a")]), 2),
            ("f\tzz\t1\t1\t1\t1\ta".to_owned(), 1),
            ("d\ta\tb".to_owned(), 1),
            ("q".to_owned(), 1),
            ("d".to_owned(), 1),
        ] {
            let error = TreeManifest::parse(&wrong).unwrap_err();
            assert_eq!(error.line, line, "{wrong}: {error}");
        }
    }
}
