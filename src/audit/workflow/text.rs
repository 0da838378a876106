//! Workflow values with their spans: scalars, and `run:` scripts whose offsets map to the file.

use super::super::source::{SourceFile, Span};
use super::super::yaml::{YamlKind, YamlNode, YamlStyle};

/// A scalar with its span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpannedText {
    /// Text of the scalar.
    pub value: String,
    /// Span in the file.
    pub span: Span,
    /// Whether it is part of an anchored or aliased node, so that no fix may edit it.
    pub aliased: bool,
}

impl SpannedText {
    pub(crate) fn from_node(node: &YamlNode) -> Option<Self> {
        node.as_str().map(|text| Self { value: text.to_owned(), span: node.span, aliased: node.aliased })
    }
}

/// Returns the scalar entries of a mapping.
pub(super) fn spanned_entries(node: &YamlNode) -> Vec<(SpannedText, SpannedText)> {
    let pair =
        |(key, value): &(YamlNode, YamlNode)| Some((SpannedText::from_node(key)?, SpannedText::from_node(value)?));
    node.entries().iter().filter_map(pair).collect()
}

/// A `run:` script.
#[derive(Clone, Debug)]
pub struct StepScript {
    /// Text that the shell runs.
    pub text: String,
    /// Span of the value in the file.
    pub span: Span,
    /// Whether it is part of an anchored or aliased node, so that no fix may edit it.
    pub aliased: bool,
    /// Whether each script line is a line of the file, so that it can be edited in place.
    pub is_editable_in_place: bool,
    /// Offsets of each line: in the script, in the file.
    line_offsets: Vec<(usize, usize)>,
}

impl StepScript {
    pub(super) fn from_node(source: &SourceFile, key: &YamlNode, value: &YamlNode) -> Option<Self> {
        let YamlKind::Scalar(text, style) = &value.kind else { return None };
        let lines = match style {
            YamlStyle::Literal => map_literal_lines(source, key, text),
            YamlStyle::Plain | YamlStyle::Quoted => {
                let inset = usize::from(*style == YamlStyle::Quoted);
                let written = Span::new(value.span.start + inset, value.span.end.saturating_sub(inset));
                (source.slice(written) == text).then(|| vec![(0, written.start)])
            }
            YamlStyle::Folded => None,
        };
        let exact = lines.is_some();
        let lines = lines.unwrap_or_default();
        Some(Self {
            text: text.clone(),
            span: value.span,
            aliased: value.aliased,
            is_editable_in_place: exact,
            line_offsets: lines,
        })
    }

    /// Converts a span of the script to a span of the file; the whole value if lines cannot be mapped.
    pub(crate) fn file_span(&self, range: Span) -> Span {
        let (Some(start), Some(end)) = (self.file_offset(range.start), self.file_offset(range.end)) else {
            return self.span;
        };
        if start > end { self.span } else { Span::new(start, end) }
    }

    fn file_offset(&self, at: usize) -> Option<usize> {
        let index = self.line_offsets.partition_point(|(line, _)| *line <= at).checked_sub(1)?;
        self.line_offsets.get(index).map(|(line, byte)| byte + (at - line))
    }
}

/// Maps the lines of a `|` block to the file; `None` if they do not match one to one.
fn map_literal_lines(source: &SourceFile, key: &YamlNode, text: &str) -> Option<Vec<(usize, usize)>> {
    let first = source.line_index(key.span.end) + 1;
    let mut lines = Vec::new();
    let mut at = 0;
    for (number, line) in text.split('\n').enumerate() {
        let file_line = source.line_text(first + number);
        if at >= text.len() && line.is_empty() {
            break;
        }
        let indent = file_line.len().checked_sub(line.len())?;
        if file_line.get(indent..)? != line || !file_line.get(..indent)?.trim().is_empty() {
            return None;
        }
        lines.push((at, source.line_start(first + number) + indent));
        at += line.len() + 1;
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::super::super::yaml::parse_document;
    use super::*;

    fn script(text: &str) -> (StepScript, std::sync::Arc<SourceFile>) {
        let source = SourceFile::new("x", text);
        let root = parse_document(text).unwrap();
        let (key, value) = root.get_entry("run").unwrap();
        (StepScript::from_node(&source, key, value).unwrap(), source)
    }

    fn find(text: &str, word: &str) -> String {
        let (script, source) = script(text);
        let at = script.text.find(word).unwrap();
        source.slice(script.file_span(Span::new(at, at + word.len()))).to_owned()
    }

    #[test]
    fn script_words_map_to_the_file() {
        assert_eq!(find("run: |\n\n  one\n    two\n\n  three\n", "three"), "three");
        assert_eq!(find("run: | # why\r\n  one\r\n  two\r\n", "two"), "two");
        assert_eq!(find("run: a b c", "b"), "b");
        assert_eq!(find("run: 'a b c'", "b"), "b");
        assert_eq!(find("run: |-\n  a é b", "b"), "b");
        assert_eq!(find("x: 1\nrun: >\n  a\n  b\n", "b"), "a\n  b");
        assert_eq!(find("run: \"a \\\"b\\\" c\"", "b"), "\"a \\\"b\\\" c\"");
        assert!(script("run: |\n  a\n").0.is_editable_in_place && !script("run: >\n  a\n").0.is_editable_in_place);
    }

    #[test]
    fn a_list_is_not_a_script() {
        let root = parse_document("run: [a]").unwrap();
        let (key, value) = root.get_entry("run").unwrap();
        assert!(StepScript::from_node(&SourceFile::new("x", "run: [a]"), key, value).is_none());
    }
}
