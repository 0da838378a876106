//! What an entry's tree holds, a line each: the text kept in its facts.

use std::path::Path;

use thiserror::Error;

use crate::fs::{Sha256, inner_path, stays_inside};

use super::wrong::Wrong;

/// One thing in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Where, from the root of the tree on.
    pub path: String,
    /// What.
    pub what: What,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A regular file.
    File {
        /// Digest of its bytes.
        sha256: Sha256,
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
    Link {
        /// What it says.
        target: String,
    },
    /// A folder with nothing in it; others show in the paths of what they hold.
    Folder,
}

/// All of a tree, sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// What there is.
    pub items: Vec<Listed>,
}

/// Why a text is no listing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line} of the listing: {wrong}")]
pub struct ListingError {
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong with it.
    pub wrong: Wrong,
}

impl Listing {
    /// Sorts what was found.
    pub fn new(mut items: Vec<Listed>) -> Self {
        items.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Self { items }
    }

    /// The files.
    pub fn files(&self) -> impl Iterator<Item = &Listed> {
        self.items.iter().filter(|item| matches!(item.what, What::File { .. }))
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.items.iter().map(|item| if let What::File { size, .. } = item.what { size } else { 0 }).sum()
    }

    /// The digest of the tree: of what every machine agrees on, and nothing else.
    pub fn tree_digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for item in &self.items {
            let line = match &item.what {
                What::File { sha256, size, executable, .. } => {
                    format!("f {} {size} {} {}\n", if *executable { "x" } else { "-" }, sha256, item.path)
                }
                What::Link { target } => format!("l {target} {}\n", item.path),
                What::Folder => format!("d {}\n", item.path),
            };
            hasher.update(&(line.len() as u64).to_le_bytes());
            hasher.update(line.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The text: `f`, `x` (a file that may be run), `l` or `d`, then what is known, then the path, between tabs.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.items.len() * 160);
        for item in &self.items {
            match &item.what {
                What::File { sha256, size, executable, inode, modified, changed } => {
                    let letter = if *executable { 'x' } else { 'f' };
                    text.push_str(&format!("{letter}\t{sha256}\t{size}\t{inode}\t{modified}\t{changed}\t"));
                }
                What::Link { target } => text.push_str(&format!("l\t{}\t", escaped(target))),
                What::Folder => text.push_str("d\t"),
            }
            text.push_str(&escaped(&item.path));
            text.push('\n');
        }
        text
    }

    /// Reads the text again. Every path in it stays inside the tree, or it is no listing.
    ///
    /// # Errors
    /// At the first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, ListingError> {
        let mut items: Vec<Listed> = Vec::with_capacity(text.len() / 140);
        let mut links: Vec<usize> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let at = |wrong| ListingError { line: number + 1, wrong };
            let item = parse_line(line).map_err(at)?;
            match items.last().map(|last| last.path.cmp(&item.path)) {
                Some(std::cmp::Ordering::Equal) => return Err(at(Wrong::Twice)),
                Some(std::cmp::Ordering::Greater) => return Err(at(Wrong::Facts("not in order".to_owned()))),
                _ => {}
            }
            if through_link(&items, &links, &item.path) {
                return Err(at(Wrong::Path));
            }
            if matches!(item.what, What::Link { .. }) {
                links.push(items.len());
            }
            items.push(item);
        }
        Ok(Self { items })
    }
}

/// Whether a path goes through one of the links before it.
fn through_link(items: &[Listed], links: &[usize], path: &str) -> bool {
    links.iter().any(|link| path.strip_prefix(&items[*link].path).is_some_and(|rest| rest.starts_with('/')))
}

fn parse_line(line: &str) -> Result<Listed, Wrong> {
    let facts = || Wrong::Facts("a line that is no line of a listing".to_owned());
    let mut fields = line.split('\t');
    let letter = fields.next().unwrap_or_default();
    let mut field = || fields.next().ok_or_else(facts);
    let what = match letter {
        "f" | "x" => What::File {
            sha256: Sha256::from_hex(field()?).ok_or_else(facts)?,
            size: field()?.parse().map_err(|_| facts())?,
            executable: letter == "x",
            inode: field()?.parse().map_err(|_| facts())?,
            modified: field()?.parse().map_err(|_| facts())?,
            changed: field()?.parse().map_err(|_| facts())?,
        },
        "l" => What::Link { target: unescaped(field()?) },
        "d" => What::Folder,
        _ => return Err(facts()),
    };
    let path = unescaped(field()?);
    if fields.next().is_some() {
        return Err(facts());
    }
    let inner = inner_path(&path).ok_or(Wrong::Path)?;
    if let What::Link { target } = &what
        && !stays_inside(inner, Path::new(target))
    {
        return Err(Wrong::OutwardLink(target.clone()));
    }
    Ok(Listed { path, what })
}

fn escaped(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains(['\\', '\t', '\n', '\r']) {
        return text.into();
    }
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r").into()
}

fn unescaped(text: &str) -> String {
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

    fn file(path: &str) -> Listed {
        let what = What::File {
            sha256: Sha256::of(path.as_bytes()),
            size: 3,
            executable: path.ends_with('x'),
            inode: 7,
            modified: -1,
            changed: 2,
        };
        Listed { path: path.to_owned(), what }
    }

    fn link(path: &str, target: &str) -> Listed {
        Listed { path: path.to_owned(), what: What::Link { target: target.to_owned() } }
    }

    #[test]
    fn a_listing_is_read_as_it_was_written() {
        let folder = Listed { path: "empty".to_owned(), what: What::Folder };
        let strange = ["z\\t\ttab", "new\nline\r", "a/b", "bin/x", "ä"];
        let listing =
            Listing::new(strange.iter().map(|path| file(path)).chain([link("lib64", "a/b\t\\"), folder]).collect());
        assert_eq!(Listing::parse(&listing.text()), Ok(listing.clone()));
        assert_eq!((listing.files().count(), listing.bytes()), (5, 15));
        let mut elsewhere = listing.clone();
        if let What::File { inode, modified, changed, .. } = &mut elsewhere.items[0].what {
            (*inode, *modified, *changed) = (1, 2, 3);
        }
        assert_eq!(elsewhere.tree_digest(), listing.tree_digest(), "numbers of one machine do not count");
        if let What::File { executable, .. } = &mut elsewhere.items[0].what {
            *executable = true;
        }
        assert_ne!(elsewhere.tree_digest(), listing.tree_digest());
    }

    #[test]
    fn what_leads_out_is_no_listing() {
        let text = |items: Vec<Listed>| Listing { items }.text();
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
            let error = Listing::parse(&wrong).unwrap_err();
            assert_eq!(error.line, line, "{wrong}: {error}");
        }
    }
}
