//! Fix of a finding: its text edits, and the semantic changes that they must make.

use serde::Serialize;

use super::super::source::{SharedSource, Span};
use super::super::yaml::{YamlKind, YamlNode, parse_document};

/// A replacement of a byte range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextEdit {
    /// Replaced range; empty to insert.
    pub span: Span,
    /// Replacement text.
    pub text: String,
}

/// A segment of a path into a YAML document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum YamlPathSegment {
    /// A key of a mapping.
    Key(String),
    /// An index of a sequence.
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

/// A change of the parsed document, independent of its text. Values are YAML in flow style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SemanticChange {
    /// Sets a key of the mapping at a path: path, key and value.
    Set(Vec<YamlPathSegment>, String, String),
    /// Removes a key of the mapping at a path: path and key.
    Remove(Vec<YamlPathSegment>, String),
    /// Replaces the value at a path.
    Replace(Vec<YamlPathSegment>, String),
    /// Inserts an item into the sequence at a path, before an index.
    Insert(Vec<YamlPathSegment>, usize, String),
    /// Moves an item of a sequence.
    Move {
        /// Path of the sequence.
        path: Vec<YamlPathSegment>,
        /// Index of the item.
        from: usize,
        /// Its new index, counted after its removal.
        to: usize,
    },
    /// Rewrites a session of the noxfile.
    RewriteSession(String),
}

/// When a fix may be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applicability {
    /// It does not change which sessions and commands run or what they do. A key of a cache may change, and with it what
    /// is restored.
    Safe,
    /// It may change how the workflow does it, but every job still runs the same sessions and commands.
    Unsafe,
    /// It is a patch to review: whether it is harmless depends on facts that the files do not contain. noxide never
    /// writes it.
    DisplayOnly,
}

/// Why a change cannot be applied to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeError {
    /// The path leads into an anchored or aliased node.
    AliasedNode,
    /// The path does not exist, or the value there has another type.
    DoesNotFit,
}

/// Resolves a finding by editing one file.
#[derive(Clone, Debug)]
pub struct Fix {
    /// What the fix does, as a lower-case imperative.
    pub title: String,
    /// When the fix may be applied.
    pub applicability: Applicability,
    /// The edited file.
    pub source: SharedSource,
    /// Edits of the text.
    pub edits: Vec<TextEdit>,
    /// Changes that the edits must make to the parsed document, and no others.
    pub changes: Vec<SemanticChange>,
}

impl Fix {
    /// Whether `--fix` applies it.
    pub(crate) fn is_safe(&self) -> bool {
        self.applicability == Applicability::Safe
    }

    /// Whether `--unsafe-fixes` applies it.
    pub(crate) fn is_applicable(&self) -> bool {
        self.applicability <= Applicability::Unsafe
    }

    /// Returns the flag that applies it, or that none does.
    pub(crate) fn applied_by(&self) -> &'static str {
        match self.applicability {
            Applicability::Safe => "--fix",
            Applicability::Unsafe => "--fix --unsafe-fixes",
            Applicability::DisplayOnly => "a patch to review: noxide does not apply it",
        }
    }

    /// Whether the fix is intended to change this session of the noxfile.
    pub(crate) fn has_session_change(&self, session: &str) -> bool {
        self.changes.iter().any(|change| matches!(change, SemanticChange::RewriteSession(name) if name == session))
    }
}

impl SemanticChange {
    /// Applies the change to a document.
    ///
    /// # Errors
    /// When the path does not exist or leads into an anchored or aliased node, or the change is of the noxfile.
    pub(crate) fn apply(&self, root: &mut YamlNode) -> Result<(), ChangeError> {
        let value = |text: &str| parse_document(text).map_err(|_| ChangeError::DoesNotFit);
        let does_not_fit = ChangeError::DoesNotFit;
        match self {
            Self::Set(path, key, text) => {
                let new = value(text)?;
                let YamlKind::Map(entries) = &mut resolve_path_mut(root, path)?.kind else { return Err(does_not_fit) };
                match entries.iter_mut().find(|(name, _)| name.as_str() == Some(key)) {
                    Some((_, old)) => *old = new,
                    None => entries.push((value(key)?, new)),
                }
            }
            Self::Remove(path, key) => {
                let YamlKind::Map(entries) = &mut resolve_path_mut(root, path)?.kind else { return Err(does_not_fit) };
                entries.retain(|(name, _)| name.as_str() != Some(key));
            }
            Self::Replace(path, text) => *resolve_path_mut(root, path)? = value(text)?,
            Self::Insert(path, at, text) => {
                let new = value(text)?;
                let YamlKind::Seq(items) = &mut resolve_path_mut(root, path)?.kind else { return Err(does_not_fit) };
                (*at <= items.len()).then(|| items.insert(*at, new)).ok_or(does_not_fit)?;
            }
            Self::Move { path, from, to } => {
                let YamlKind::Seq(items) = &mut resolve_path_mut(root, path)?.kind else { return Err(does_not_fit) };
                if *from >= items.len() || *to >= items.len() {
                    return Err(does_not_fit);
                }
                let item = items.remove(*from);
                items.insert(*to, item);
            }
            Self::RewriteSession(_) => return Err(does_not_fit),
        }
        Ok(())
    }
}

fn resolve_path_mut<'a>(root: &'a mut YamlNode, path: &[YamlPathSegment]) -> Result<&'a mut YamlNode, ChangeError> {
    let mut node = root;
    for segment in path {
        if node.aliased {
            return Err(ChangeError::AliasedNode);
        }
        node = match (segment, &mut node.kind) {
            (YamlPathSegment::Key(key), YamlKind::Map(entries)) => {
                entries.iter_mut().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value)
            }
            (YamlPathSegment::Index(index), YamlKind::Seq(items)) => items.get_mut(*index),
            _ => None,
        }
        .ok_or(ChangeError::DoesNotFit)?;
    }
    if node.aliased { Err(ChangeError::AliasedNode) } else { Ok(node) }
}

/// Whether two documents are equal; the order of mapping keys is ignored.
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
