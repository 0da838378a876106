//! A fix: what it does to the text, and what it means for the tree.

use super::super::source::{SharedSource, Span};
use super::super::yaml::{YamlKind, YamlNode, parse_document};

/// A replacement of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextEdit {
    /// The bytes replaced; empty to insert.
    pub span: Span,
    /// What stands there afterwards.
    pub text: String,
}

/// A step of a route into a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum YamlPathSegment {
    /// A key of a mapping.
    Key(String),
    /// A place in a sequence.
    Index(usize),
}

impl From<&str> for YamlPathSegment {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for YamlPathSegment {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// A change of meaning, told apart from the text that makes it. Values are YAML in flow form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SemanticChange {
    /// A key gets a value, new or instead of the old one.
    Set(Vec<YamlPathSegment>, String, String),
    /// A key goes.
    Remove(Vec<YamlPathSegment>, String),
    /// A value is replaced.
    Replace(Vec<YamlPathSegment>, String),
    /// An item comes into a sequence before that place.
    Insert(Vec<YamlPathSegment>, usize, String),
    /// An item moves to another place, counted after it is taken out.
    Move(Vec<YamlPathSegment>, usize, usize),
    /// A session of the noxfile does something else.
    RewriteSession(String),
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
    pub edits: Vec<TextEdit>,
    /// What it means.
    pub changes: Vec<SemanticChange>,
}

impl Fix {
    /// Whether it means to change a session of the noxfile.
    pub(crate) fn has_session_change(&self, session: &str) -> bool {
        self.changes.iter().any(|change| matches!(change, SemanticChange::RewriteSession(name) if name == session))
    }
}

impl SemanticChange {
    /// Makes the change in a tree; none where the route does not lead anywhere or crosses something shared.
    #[must_use]
    pub(crate) fn apply(&self, root: &mut YamlNode) -> Option<()> {
        let value = |text: &str| parse_document(text).ok();
        match self {
            Self::Set(route, key, text) => {
                let new = value(text)?;
                let YamlKind::Map(entries) = &mut resolve_path_mut(root, route)?.kind else { return None };
                match entries.iter_mut().find(|(name, _)| name.as_str() == Some(key)) {
                    Some((_, old)) => *old = new,
                    None => entries.push((value(key)?, new)),
                }
            }
            Self::Remove(route, key) => {
                let YamlKind::Map(entries) = &mut resolve_path_mut(root, route)?.kind else { return None };
                entries.retain(|(name, _)| name.as_str() != Some(key));
            }
            Self::Replace(route, text) => *resolve_path_mut(root, route)? = value(text)?,
            Self::Insert(route, at, text) => {
                let new = value(text)?;
                let YamlKind::Seq(items) = &mut resolve_path_mut(root, route)?.kind else { return None };
                (*at <= items.len()).then(|| items.insert(*at, new))?;
            }
            Self::Move(route, from, to) => {
                let YamlKind::Seq(items) = &mut resolve_path_mut(root, route)?.kind else { return None };
                (*from < items.len()).then_some(())?;
                let item = items.remove(*from);
                (*to <= items.len()).then(|| items.insert(*to, item))?;
            }
            Self::RewriteSession(_) => return None,
        }
        Some(())
    }
}

fn resolve_path_mut<'a>(root: &'a mut YamlNode, route: &[YamlPathSegment]) -> Option<&'a mut YamlNode> {
    let mut node = root;
    for segment in route {
        if node.aliased {
            return None;
        }
        node = match (segment, &mut node.kind) {
            (YamlPathSegment::Key(key), YamlKind::Map(entries)) => {
                entries.iter_mut().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value)?
            }
            (YamlPathSegment::Index(index), YamlKind::Seq(items)) => items.get_mut(*index)?,
            _ => return None,
        };
    }
    (!node.aliased).then_some(node)
}

/// Whether two trees mean the same: keys of a mapping may stand in any order.
pub(super) fn is_equivalent(a: &YamlNode, b: &YamlNode) -> bool {
    match (&a.kind, &b.kind) {
        (YamlKind::Map(left), YamlKind::Map(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| {
                    key.as_str().and_then(|key| b.get(key)).is_some_and(|other| is_equivalent(value, other))
                })
        }
        (YamlKind::Seq(left), YamlKind::Seq(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| is_equivalent(left, right))
        }
        _ => a == b,
    }
}
