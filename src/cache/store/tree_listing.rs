//! Listing of an entry: all paths of its tree, and their text form.

use std::collections::HashSet;
use std::path::Path;

use thiserror::Error;

use crate::cache::options::StoreOptions;
use crate::fs::{Sha256Digest, is_symlink_contained, safe_relative_path};

use super::damage::Damage;

/// Maximum number of paths in a listing.
const MAX_NODES: usize = 2 * StoreOptions::MAX_ENTRY_FILES;

/// A path in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeNode {
    /// Path relative to the root of the tree.
    pub path: String,
    /// What is at the path.
    pub kind: TreeNodeKind,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeNodeKind {
    /// A regular file.
    File {
        /// Digest of the content.
        sha256: Sha256Digest,
        /// Size in bytes.
        size: u64,
        /// Whether the owner may execute the file.
        executable: bool,
        /// Inode number when the file was last verified.
        inode: u64,
        /// Modification time at that time, in nanoseconds since 1970.
        modified: i64,
        /// Change time of the inode at that time, in nanoseconds since 1970.
        changed: i64,
    },
    /// A symbolic link.
    Symlink {
        /// Target of the link.
        target: String,
    },
    /// An empty directory; others are implied by the paths of their files.
    EmptyDirectory,
}

/// All paths of a tree, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeListing {
    /// The paths.
    pub nodes: Vec<TreeNode>,
}

/// Why a text is not a list of files.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line} of the list of files: {damage}")]
pub(crate) struct TreeListingError {
    /// Line number, from 1.
    pub(crate) line: usize,
    /// What is wrong with the line.
    pub(crate) damage: Damage,
}

impl TreeListing {
    /// Creates a listing; sorts the nodes.
    pub fn new(mut nodes: Vec<TreeNode>) -> Self {
        nodes.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Self { nodes }
    }

    /// Returns the files.
    pub fn files(&self) -> impl Iterator<Item = &TreeNode> {
        self.nodes.iter().filter(|node| matches!(node.kind, TreeNodeKind::File { .. }))
    }

    /// Returns the total size of the files, in bytes.
    pub(crate) fn total_bytes(&self) -> u64 {
        let sizes =
            self.nodes.iter().map(|node| if let TreeNodeKind::File { size, .. } = node.kind { size } else { 0 });
        sizes.fold(0, u64::saturating_add)
    }

    /// Computes the digest of the tree, without inode numbers and times, so that it is the same on every machine.
    pub(crate) fn tree_digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for node in &self.nodes {
            let line = match &node.kind {
                TreeNodeKind::File { sha256, size, executable, .. } => {
                    format!("f {} {size} {} {}\n", if *executable { "x" } else { "-" }, sha256, node.path)
                }
                TreeNodeKind::Symlink { target } => format!("l {target} {}\n", node.path),
                TreeNodeKind::EmptyDirectory => format!("d {}\n", node.path),
            };
            hasher.update(&(line.len() as u64).to_le_bytes());
            hasher.update(line.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Formats the paths: `f`, `x` (an executable file), `l` or `d`, then the details and the path, separated by tabs.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::with_capacity(self.nodes.len() * 160);
        for node in &self.nodes {
            match &node.kind {
                TreeNodeKind::File { sha256, size, executable, inode, modified, changed } => {
                    let type_letter = if *executable { 'x' } else { 'f' };
                    text.push_str(&format!("{type_letter}\t{sha256}\t{size}\t{inode}\t{modified}\t{changed}\t"));
                }
                TreeNodeKind::Symlink { target } => text.push_str(&format!("l\t{}\t", escape_field(target))),
                TreeNodeKind::EmptyDirectory => text.push_str("d\t"),
            }
            text.push_str(&escape_field(&node.path));
            text.push('\n');
        }
        text
    }

    /// Parses the text form. Every path must be inside the tree.
    ///
    /// # Errors
    /// If a line is malformed; the error names the first one.
    pub(crate) fn parse(text: &str) -> Result<Self, TreeListingError> {
        let mut nodes: Vec<TreeNode> = Vec::with_capacity(text.len() / 140);
        let mut links: HashSet<String> = HashSet::new();
        for (number, line) in text.lines().enumerate() {
            let error_at = |damage| TreeListingError { line: number + 1, damage };
            let node = parse_node(line).map_err(error_at)?;
            match nodes.last().map(|last| last.path.cmp(&node.path)) {
                Some(std::cmp::Ordering::Equal) => return Err(error_at(Damage::DuplicatePath)),
                Some(std::cmp::Ordering::Greater) => {
                    return Err(error_at(Damage::InvalidMeta("not in order".to_owned())));
                }
                _ => {}
            }
            if is_through_symlink(&links, &node.path) {
                return Err(error_at(Damage::InvalidPath));
            }
            if matches!(node.kind, TreeNodeKind::Symlink { .. }) {
                links.insert(node.path.clone());
            }
            if nodes.len() >= MAX_NODES {
                return Err(error_at(Damage::TooLarge { limit: MAX_NODES as u64, unit: "files" }));
            }
            nodes.push(node);
        }
        Ok(Self { nodes })
    }
}

/// Returns whether a path passes through one of the preceding links.
fn is_through_symlink(links: &HashSet<String>, path: &str) -> bool {
    !links.is_empty() && path.match_indices('/').any(|(end, _)| links.contains(&path[..end]))
}

fn parse_node(line: &str) -> Result<TreeNode, Damage> {
    let malformed = || Damage::InvalidMeta("malformed line".to_owned());
    let mut fields = line.split('\t');
    let type_letter = fields.next().unwrap_or_default();
    let mut field = || fields.next().ok_or_else(malformed);
    let kind = match type_letter {
        "f" | "x" => TreeNodeKind::File {
            sha256: Sha256Digest::from_hex(field()?).ok_or_else(malformed)?,
            size: field()?.parse().map_err(|_| malformed())?,
            executable: type_letter == "x",
            inode: field()?.parse().map_err(|_| malformed())?,
            modified: field()?.parse().map_err(|_| malformed())?,
            changed: field()?.parse().map_err(|_| malformed())?,
        },
        "l" => TreeNodeKind::Symlink { target: unescape_field(field()?) },
        "d" => TreeNodeKind::EmptyDirectory,
        _ => return Err(malformed()),
    };
    let path = unescape_field(field()?);
    if fields.next().is_some() {
        return Err(malformed());
    }
    let inner = safe_relative_path(&path).ok_or(Damage::InvalidPath)?;
    if let TreeNodeKind::Symlink { target } = &kind
        && !is_symlink_contained(inner, Path::new(target))
    {
        return Err(Damage::EscapingSymlink(target.clone()));
    }
    Ok(TreeNode { path, kind })
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
        let kind = TreeNodeKind::File {
            sha256: Sha256Digest::hash_bytes(path.as_bytes()),
            size: 3,
            executable: path.ends_with('x'),
            inode: 7,
            modified: -1,
            changed: 2,
        };
        TreeNode { path: path.to_owned(), kind }
    }

    fn link(path: &str, target: &str) -> TreeNode {
        TreeNode { path: path.to_owned(), kind: TreeNodeKind::Symlink { target: target.to_owned() } }
    }

    #[test]
    fn a_manifest_round_trips_through_its_text() {
        let directory = TreeNode { path: "empty".to_owned(), kind: TreeNodeKind::EmptyDirectory };
        let paths = ["z\\t\ttab", "new\nline\r", "a/b", "bin/x", "ä"];
        let listing = TreeListing::new(
            paths.iter().map(|path| file(path)).chain([link("lib64", "a/b\t\\"), directory]).collect(),
        );
        assert_eq!(TreeListing::parse(&listing.to_text()), Ok(listing.clone()));
        assert_eq!((listing.files().count(), listing.total_bytes()), (5, 15));
        let mut other_machine = listing.clone();
        if let TreeNodeKind::File { inode, modified, changed, .. } = &mut other_machine.nodes[0].kind {
            (*inode, *modified, *changed) = (1, 2, 3);
        }
        assert_eq!(other_machine.tree_digest(), listing.tree_digest(), "inodes and times are not part of the digest");
        if let TreeNodeKind::File { executable, .. } = &mut other_machine.nodes[0].kind {
            *executable = true;
        }
        assert_ne!(other_machine.tree_digest(), listing.tree_digest());
    }

    #[test]
    fn paths_and_links_out_of_the_tree_are_refused() {
        let text = |nodes: Vec<TreeNode>| TreeListing { nodes }.to_text();
        for (listing, line) in [
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
            let error = TreeListing::parse(&listing).unwrap_err();
            assert_eq!(error.line, line, "{listing}: {error}");
        }
    }
}
