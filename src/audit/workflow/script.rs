//! A `run:` script, and where each of its characters stands in the file.

use super::super::span::{Source, Span};
use super::super::yaml::{Kind, Node, Style};

/// A script with its places.
#[derive(Clone, Debug)]
pub struct Script {
    /// The text the shell gets.
    pub text: String,
    /// Bytes of the value in the file.
    pub span: Span,
    /// Whether no fix may touch it.
    pub shared: bool,
    /// Whether each line of it is a line of the file, so that it may be edited by bytes.
    pub exact: bool,
    /// Where each line starts: in the script, in the file.
    lines: Vec<(usize, usize)>,
}

impl Script {
    /// Reads a `run:` value.
    pub(super) fn read(source: &Source, key: &Node, value: &Node) -> Option<Self> {
        let Kind::Scalar(text, style) = &value.kind else { return None };
        let lines = match style {
            Style::Literal => literal(source, key, text),
            Style::Plain | Style::Quoted => {
                let inset = usize::from(*style == Style::Quoted);
                let written = Span::new(value.span.start + inset, value.span.end.saturating_sub(inset));
                (source.slice(written) == text).then(|| vec![(0, written.start)])
            }
            Style::Folded => None,
        };
        let exact = lines.is_some();
        let lines = lines.unwrap_or_default();
        Some(Self { text: text.clone(), span: value.span, shared: value.shared, exact, lines })
    }

    /// The file's bytes of a range of the script; the whole value where they cannot be told.
    pub fn place(&self, range: Span) -> Span {
        let (Some(start), Some(end)) = (self.byte(range.start), self.byte(range.end)) else { return self.span };
        if start > end { self.span } else { Span::new(start, end) }
    }

    fn byte(&self, at: usize) -> Option<usize> {
        let index = self.lines.partition_point(|(line, _)| *line <= at).checked_sub(1)?;
        self.lines.get(index).map(|(line, byte)| byte + (at - line))
    }
}

/// Where the lines of a `|` block stand, or nothing where they cannot be matched one to one.
fn literal(source: &Source, key: &Node, text: &str) -> Option<Vec<(usize, usize)>> {
    let first = source.line_of(key.span.end) + 1;
    let mut lines = Vec::new();
    let mut at = 0;
    for (number, line) in text.split('\n').enumerate() {
        let written = source.line(first + number);
        if at >= text.len() && line.is_empty() {
            break;
        }
        let indent = written.len().checked_sub(line.len())?;
        if written.get(indent..)? != line || !written.get(..indent)?.trim().is_empty() {
            return None;
        }
        lines.push((at, source.line_start(first + number) + indent));
        at += line.len() + 1;
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::super::super::yaml::read;
    use super::*;

    fn script(text: &str) -> (Script, std::sync::Arc<Source>) {
        let source = Source::new("x", text);
        let root = read(text).unwrap();
        let (key, value) = root.entry("run").unwrap();
        (Script::read(&source, key, value).unwrap(), source)
    }

    fn find(text: &str, word: &str) -> String {
        let (script, source) = script(text);
        let at = script.text.find(word).unwrap();
        source.slice(script.place(Span::new(at, at + word.len()))).to_owned()
    }

    #[test]
    fn words_are_found_in_the_file() {
        assert_eq!(find("run: |\n\n  one\n    two\n\n  three\n", "three"), "three");
        assert_eq!(find("run: | # why\r\n  one\r\n  two\r\n", "two"), "two");
        assert_eq!(find("run: a b c", "b"), "b");
        assert_eq!(find("run: 'a b c'", "b"), "b");
        assert_eq!(find("run: |-\n  a é b", "b"), "b");
        assert_eq!(find("x: 1\nrun: >\n  a\n  b\n", "b"), "a\n  b");
        assert_eq!(find("run: \"a \\\"b\\\" c\"", "b"), "\"a \\\"b\\\" c\"");
        assert!(script("run: |\n  a\n").0.exact && !script("run: >\n  a\n").0.exact);
    }

    #[test]
    fn what_is_not_a_script_is_none() {
        let root = read("run: [a]").unwrap();
        let (key, value) = root.entry("run").unwrap();
        assert!(Script::read(&Source::new("x", "run: [a]"), key, value).is_none());
    }
}
