//! A node of a YAML document: what it is, and which bytes said so.

use super::super::source::Span;

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum YamlStyle {
    /// Without quotes.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// A `|` block.
    Literal,
    /// A `>` block.
    Folded,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum YamlKind {
    /// A scalar and how it was written.
    Scalar(String, YamlStyle),
    /// A sequence.
    Seq(Vec<YamlNode>),
    /// A mapping, in the file's order.
    Map(Vec<(YamlNode, YamlNode)>),
}

/// A node and its bytes.
#[derive(Clone, Debug)]
pub struct YamlNode {
    /// Its bytes: a `|` or `>` block without its header, a collection up to its last child's end, never with a
    /// trailing line ending.
    pub span: Span,
    /// What it holds.
    pub kind: YamlKind,
    /// Whether the route to it crosses an anchor or an alias: no fix may touch it.
    pub aliased: bool,
    /// Whether it is written in flow style (`[…]`, `{…}`).
    pub is_flow: bool,
}

/// Two nodes are equal when they mean the same, wherever they stand and however they are written.
impl PartialEq for YamlNode {
    fn eq(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (YamlKind::Scalar(a, style), YamlKind::Scalar(b, other)) => {
                a == b && is_string_scalar(a, *style) == is_string_scalar(b, *other)
            }
            (YamlKind::Seq(a), YamlKind::Seq(b)) => a == b,
            (YamlKind::Map(a), YamlKind::Map(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for YamlNode {}

/// Whether a scalar is a string: quoted, or plain and nothing else (`"1"` and `x`, not `1`).
fn is_string_scalar(text: &str, style: YamlStyle) -> bool {
    style != YamlStyle::Plain
        || !(text.parse::<f64>().is_ok() || matches!(text, "" | "~" | "null" | "true" | "false" | "True" | "False"))
}

impl YamlNode {
    /// A scalar's text.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.kind {
            YamlKind::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// Whether nothing was written (`key:` alone) or `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, YamlKind::Scalar(text, YamlStyle::Plain) if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// The items of a sequence; none of anything else.
    pub(crate) fn items(&self) -> &[YamlNode] {
        match &self.kind {
            YamlKind::Seq(items) => items,
            _ => &[],
        }
    }

    /// The entries of a mapping; none of anything else.
    pub(crate) fn entries(&self) -> &[(YamlNode, YamlNode)] {
        match &self.kind {
            YamlKind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The entry under a key.
    pub(crate) fn get_entry(&self, key: &str) -> Option<&(YamlNode, YamlNode)> {
        self.entries().iter().find(|(name, _)| name.as_str() == Some(key))
    }

    /// The value under a key.
    pub(crate) fn get(&self, key: &str) -> Option<&YamlNode> {
        self.get_entry(key).map(|(_, value)| value)
    }

    /// A sequence's items, or the node itself where one value may stand for a list.
    pub(crate) fn one_or_many(&self) -> Vec<&YamlNode> {
        match &self.kind {
            YamlKind::Seq(items) => items.iter().collect(),
            _ if self.is_null() => Vec::new(),
            _ => vec![self],
        }
    }

    /// A word for what it is, as people call it.
    pub(crate) fn describe_kind(&self) -> &'static str {
        match &self.kind {
            YamlKind::Scalar(..) => "a value",
            YamlKind::Seq(_) => "a list",
            YamlKind::Map(_) => "a mapping",
        }
    }
}
