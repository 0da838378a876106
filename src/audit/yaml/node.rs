//! A node of a YAML document: what it is, and which bytes said so.

use super::super::span::Span;

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
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
pub enum Kind {
    /// A scalar and how it was written.
    Scalar(String, Style),
    /// A sequence.
    Seq(Vec<Node>),
    /// A mapping, in the file's order.
    Map(Vec<(Node, Node)>),
}

/// A node and its bytes.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its bytes: a `|` or `>` block without its header, a collection up to its last child's end, never with a
    /// trailing line ending.
    pub span: Span,
    /// What it holds.
    pub kind: Kind,
    /// Whether the route to it crosses an anchor or an alias: no fix may touch it.
    pub shared: bool,
    /// Whether it is written in flow style (`[…]`, `{…}`).
    pub flow: bool,
}

/// Two nodes are equal when they mean the same, wherever they stand and however they are written.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Scalar(a, style), Kind::Scalar(b, other)) => a == b && is_text(a, *style) == is_text(b, *other),
            (Kind::Seq(a), Kind::Seq(b)) => a == b,
            (Kind::Map(a), Kind::Map(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Node {}

/// Whether a scalar is a string: quoted, or plain and nothing else (`"1"` and `x`, not `1`).
fn is_text(text: &str, style: Style) -> bool {
    style != Style::Plain
        || !(text.parse::<f64>().is_ok() || matches!(text, "" | "~" | "null" | "true" | "false" | "True" | "False"))
}

impl Node {
    /// A scalar's text.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// Whether nothing was written (`key:` alone) or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(text, Style::Plain) if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// The items of a sequence; none of anything else.
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::Seq(items) => items,
            _ => &[],
        }
    }

    /// The entries of a mapping; none of anything else.
    pub fn entries(&self) -> &[(Node, Node)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The entry under a key.
    pub fn entry(&self, key: &str) -> Option<&(Node, Node)> {
        self.entries().iter().find(|(name, _)| name.text() == Some(key))
    }

    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// A sequence's items, or the node itself where one value may stand for a list.
    pub fn one_or_many(&self) -> Vec<&Node> {
        match &self.kind {
            Kind::Seq(items) => items.iter().collect(),
            _ if self.is_null() => Vec::new(),
            _ => vec![self],
        }
    }

    /// A word for what it is, as people call it.
    pub fn word(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar(..) => "a value",
            Kind::Seq(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }
}
