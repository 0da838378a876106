//! Node of a YAML document, with its byte span and style.

use super::super::source::Span;

/// Style of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum YamlStyle {
    /// Unquoted.
    Plain,
    /// Single- or double-quoted.
    Quoted,
    /// A `|` block.
    Literal,
    /// A `>` block.
    Folded,
}

/// Content of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum YamlKind {
    /// A scalar and its style.
    Scalar(String, YamlStyle),
    /// A sequence.
    Seq(Vec<YamlNode>),
    /// A mapping, in the order of the file.
    Map(Vec<(YamlNode, YamlNode)>),
}

/// A node and its span.
#[derive(Clone, Debug)]
pub struct YamlNode {
    /// Span: of a `|` or `>` block without its header, of a collection up to the end of its last child; never with a
    /// trailing line ending.
    pub span: Span,
    /// Content.
    pub kind: YamlKind,
    /// Whether it is part of an anchored or aliased node, so that no fix may edit it.
    pub aliased: bool,
    /// Whether it is in flow style (`[…]`, `{…}`).
    pub is_flow: bool,
}

/// Nodes are equal if their values are equal, regardless of position and style.
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

/// Whether a scalar is a string: quoted, or plain and of no other type (`"1"` and `x`, not `1`).
fn is_string_scalar(text: &str, style: YamlStyle) -> bool {
    style != YamlStyle::Plain
        || !(text.parse::<f64>().is_ok() || matches!(text, "" | "~" | "null" | "true" | "false" | "True" | "False"))
}

impl YamlNode {
    /// Returns the text of a scalar.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.kind {
            YamlKind::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// Whether the value is missing (`key:` alone) or `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, YamlKind::Scalar(text, YamlStyle::Plain) if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// Returns the items of a sequence; empty for any other node.
    pub(crate) fn items(&self) -> &[YamlNode] {
        match &self.kind {
            YamlKind::Seq(items) => items,
            _ => &[],
        }
    }

    /// Returns the entries of a mapping; empty for any other node.
    pub(crate) fn entries(&self) -> &[(YamlNode, YamlNode)] {
        match &self.kind {
            YamlKind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the key and value of a mapping entry.
    pub(crate) fn get_entry(&self, key: &str) -> Option<&(YamlNode, YamlNode)> {
        self.entries().iter().find(|(name, _)| name.as_str() == Some(key))
    }

    /// Returns the value of a mapping entry.
    pub(crate) fn get(&self, key: &str) -> Option<&YamlNode> {
        self.get_entry(key).map(|(_, value)| value)
    }

    /// Returns the items of a sequence, or the node itself, for keys that accept one value or a list.
    pub(crate) fn one_or_many(&self) -> Vec<&YamlNode> {
        match &self.kind {
            YamlKind::Seq(items) => items.iter().collect(),
            _ if self.is_null() => Vec::new(),
            _ => vec![self],
        }
    }

    /// Returns the kind of the node, for messages.
    pub(crate) fn describe_kind(&self) -> &'static str {
        match &self.kind {
            YamlKind::Scalar(..) => "a value",
            YamlKind::Seq(_) => "a list",
            YamlKind::Map(_) => "a mapping",
        }
    }
}
