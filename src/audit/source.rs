//! Source file with byte spans, and their conversion to lines and columns.

use std::sync::Arc;

use serde::Serialize;

/// A half-open range of bytes in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

impl Span {
    /// Creates a span; an end before the start makes it empty.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end: end.max(start) }
    }

    /// Whether the other span is within this one.
    pub(crate) fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// Line and column of a byte offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// A file's path, text and line offsets.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Path relative to the project, with `/` as separator.
    pub path: String,
    /// Content of the file.
    pub text: String,
    /// Why its content is not read, if it is not.
    pub(crate) unread: Option<UnreadReason>,
    line_starts: Vec<usize>,
}

/// Why the content of a file is not read: it is reported without lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnreadReason {
    /// It is a link out of the project.
    LeadsOutside,
    /// The files before it reach a limit of all files together: the limit, and of what.
    BeyondLimit(usize, &'static str),
}

/// A source file shared by the findings that point into it.
pub type SharedSource = Arc<SourceFile>;

impl SourceFile {
    /// Creates a source file and indexes its lines.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> SharedSource {
        let text = text.into();
        let mut lines = vec![0];
        lines.extend(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(offset, _)| offset + 1));
        Arc::new(Self { path: path.into(), text, unread: None, line_starts: lines })
    }

    /// Creates a source file whose content is not read.
    pub(crate) fn unread(path: impl Into<String>, reason: UnreadReason) -> SharedSource {
        Arc::new(Self { path: path.into(), text: String::new(), unread: Some(reason), line_starts: vec![0] })
    }

    /// Returns the index (from 0) of the line that contains a byte.
    pub(crate) fn line_index(&self, byte: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= byte).saturating_sub(1)
    }

    /// Returns the offset of a line (from 0); past the end, the length of the text.
    pub(crate) fn line_start(&self, line: usize) -> usize {
        self.line_starts.get(line).copied().unwrap_or(self.text.len())
    }

    /// Returns the number of lines, including an empty last one.
    pub(crate) fn line_count(&self) -> usize {
        self.line_starts.len()
    }

    /// Returns the text of a line (from 0) without its line ending.
    pub(crate) fn line_text(&self, line: usize) -> &str {
        let text = self.slice(Span::new(self.line_start(line), self.line_start(line + 1)));
        text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text))
    }

    /// Returns the line and column of a byte offset.
    pub(crate) fn position_at(&self, byte: usize) -> Position {
        let line = self.line_index(byte);
        let before = self.slice(Span::new(self.line_start(line), byte));
        Position { line: line + 1, column: before.chars().count() + 1 }
    }

    /// Returns the text of a span; empty if the span is outside the text.
    pub(crate) fn slice(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// Returns the offset of a line (from 1) and a column in bytes (from 0), as in Python's `ast`.
    pub(crate) fn byte_offset(&self, line: usize, column: usize) -> usize {
        (self.line_start(line.saturating_sub(1)) + column).min(self.text.len())
    }

    /// Returns the line ending of the first line, used for new lines.
    pub(crate) fn line_ending(&self) -> &'static str {
        let first = self.line_start(1);
        if self.text.get(..first).is_some_and(|line| line.ends_with("\r\n")) { "\r\n" } else { "\n" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_lines_and_columns_of_characters() {
        let source = SourceFile::new("a.yml", "é: x\r\nb: 2");
        assert_eq!(source.position_at(0), Position { line: 1, column: 1 });
        assert_eq!(source.position_at(4), Position { line: 1, column: 4 });
        assert_eq!(source.position_at(7), Position { line: 2, column: 1 });
        assert_eq!((source.line_text(0), source.line_text(1), source.line_text(9)), ("é: x", "b: 2", ""));
        assert_eq!((source.line_count(), source.line_ending()), (2, "\r\n"));
        assert_eq!(source.byte_offset(2, 3), 10);
        assert_eq!(source.byte_offset(90, 3), source.text.len());
        assert_eq!(source.slice(Span::new(5, 900)), "");
        assert_eq!(SourceFile::new("b", "one").line_ending(), "\n");
        assert!(Span::new(1, 9).contains(Span::new(2, 9)));
        assert_eq!(Span::new(5, 2), Span::new(5, 5));
    }
}
