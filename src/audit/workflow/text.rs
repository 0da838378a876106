//! A value of a workflow with its place.

use super::super::span::Span;
use super::super::yaml::Node;

/// A value with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The value.
    pub value: String,
    /// Its bytes.
    pub span: Span,
    /// Whether no fix may touch it.
    pub shared: bool,
}

impl Text {
    /// Takes a scalar.
    pub fn read(node: &Node) -> Option<Self> {
        node.text().map(|text| Self { value: text.to_owned(), span: node.span, shared: node.shared })
    }
}

/// The scalars of a mapping.
pub(super) fn texts(node: &Node) -> Vec<(Text, Text)> {
    let pair = |(key, value): &(Node, Node)| Some((Text::read(key)?, Text::read(value)?));
    node.entries().iter().filter_map(pair).collect()
}
