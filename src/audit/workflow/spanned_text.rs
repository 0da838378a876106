//! A value of a workflow with its place.

use super::super::source::Span;
use super::super::yaml::YamlNode;

/// A value with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpannedText {
    /// The value.
    pub value: String,
    /// Its bytes.
    pub span: Span,
    /// Whether no fix may touch it.
    pub aliased: bool,
}

impl SpannedText {
    /// Takes a scalar.
    pub(crate) fn from_node(node: &YamlNode) -> Option<Self> {
        node.as_str().map(|text| Self { value: text.to_owned(), span: node.span, aliased: node.aliased })
    }
}

/// The scalars of a mapping.
pub(super) fn spanned_entries(node: &YamlNode) -> Vec<(SpannedText, SpannedText)> {
    let pair =
        |(key, value): &(YamlNode, YamlNode)| Some((SpannedText::from_node(key)?, SpannedText::from_node(value)?));
    node.entries().iter().filter_map(pair).collect()
}
