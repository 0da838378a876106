//! A fix: what it does to the text, and what it means for the tree.

use super::super::span::{SharedSource, Span};
use super::super::yaml::{Kind, Node, read};

/// A replacement of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The bytes replaced; empty to insert.
    pub span: Span,
    /// What stands there afterwards.
    pub text: String,
}

/// A step of a route into a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A key of a mapping.
    Key(String),
    /// A place in a sequence.
    Index(usize),
}

impl From<&str> for Segment {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Segment {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// A change of meaning, told apart from the text that makes it. Values are YAML in flow form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A key gets a value, new or instead of the old one.
    Set(Vec<Segment>, String, String),
    /// A key goes.
    Remove(Vec<Segment>, String),
    /// A value is replaced.
    Replace(Vec<Segment>, String),
    /// An item comes into a sequence before that place.
    Insert(Vec<Segment>, usize, String),
    /// An item moves to another place, counted after it is taken out.
    Move(Vec<Segment>, usize, usize),
    /// A session of the noxfile does something else.
    Session(String),
}

/// What mends a finding, within one file.
#[derive(Clone, Debug)]
pub struct Fix {
    /// What it does, in words.
    pub title: String,
    /// Whether it cannot change what the workflow does.
    pub safe: bool,
    /// The file.
    pub source: SharedSource,
    /// What it does to the text.
    pub edits: Vec<Edit>,
    /// What it means.
    pub changes: Vec<Change>,
}

impl Fix {
    /// Whether it means to change a session of the noxfile.
    pub fn rewrites(&self, session: &str) -> bool {
        self.changes.iter().any(|change| matches!(change, Change::Session(name) if name == session))
    }
}

impl Change {
    /// Makes the change in a tree; none where the route does not lead anywhere or crosses something shared.
    #[must_use]
    pub fn apply(&self, root: &mut Node) -> Option<()> {
        let value = |text: &str| read(text).ok();
        match self {
            Self::Set(route, key, text) => {
                let new = value(text)?;
                let Kind::Map(entries) = &mut walk(root, route)?.kind else { return None };
                match entries.iter_mut().find(|(name, _)| name.text() == Some(key)) {
                    Some((_, old)) => *old = new,
                    None => entries.push((value(key)?, new)),
                }
            }
            Self::Remove(route, key) => {
                let Kind::Map(entries) = &mut walk(root, route)?.kind else { return None };
                entries.retain(|(name, _)| name.text() != Some(key));
            }
            Self::Replace(route, text) => *walk(root, route)? = value(text)?,
            Self::Insert(route, at, text) => {
                let new = value(text)?;
                let Kind::Seq(items) = &mut walk(root, route)?.kind else { return None };
                (*at <= items.len()).then(|| items.insert(*at, new))?;
            }
            Self::Move(route, from, to) => {
                let Kind::Seq(items) = &mut walk(root, route)?.kind else { return None };
                (*from < items.len()).then_some(())?;
                let item = items.remove(*from);
                (*to <= items.len()).then(|| items.insert(*to, item))?;
            }
            Self::Session(_) => return None,
        }
        Some(())
    }
}

fn walk<'a>(root: &'a mut Node, route: &[Segment]) -> Option<&'a mut Node> {
    let mut node = root;
    for segment in route {
        if node.shared {
            return None;
        }
        node = match (segment, &mut node.kind) {
            (Segment::Key(key), Kind::Map(entries)) => {
                entries.iter_mut().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)?
            }
            (Segment::Index(index), Kind::Seq(items)) => items.get_mut(*index)?,
            _ => return None,
        };
    }
    (!node.shared).then_some(node)
}

/// Whether two trees mean the same: keys of a mapping may stand in any order.
pub(super) fn same(a: &Node, b: &Node) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::Map(left), Kind::Map(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, value)| key.text().and_then(|key| b.get(key)).is_some_and(|other| same(value, other)))
        }
        (Kind::Seq(left), Kind::Seq(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        _ => a == b,
    }
}
