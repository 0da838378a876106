//! Reads one YAML document into nodes with spans, within limits that hostile input cannot pass.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span as Range};

use super::super::span::Span;
use super::node::{Kind, Node, Style};

/// The largest file read.
pub const MAX_BYTES: usize = 2 << 20;
/// The deepest nesting read.
pub const MAX_DEPTH: usize = 64;
/// The most nodes, aliases expanded.
pub const MAX_NODES: usize = 200_000;

/// Why a file is not one readable YAML document.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum YamlError {
    /// More bytes than any workflow has.
    #[error("more than the {MAX_BYTES} bytes that a workflow may have")]
    TooLarge,
    /// A NUL byte.
    #[error("a NUL byte: this is not text")]
    Nul(usize),
    /// Bytes that are no UTF-8, or the character U+FFFD, by which a lenient reader stands in for them.
    #[error("bytes that are no UTF-8: the forge reads no further")]
    NotUtf8(usize),
    /// A byte order mark.
    #[error("the file starts with a byte order mark: save it as UTF-8 without one")]
    ByteOrderMark,
    /// Nested too deep.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep(usize),
    /// Aliases that multiply.
    #[error("more than {MAX_NODES} nodes once its aliases are followed")]
    TooMany(usize),
    /// Two or more documents.
    #[error("a second YAML document: a workflow is one document")]
    SecondDocument(usize),
    /// No document at all.
    #[error("the file is empty")]
    Empty,
    /// A key twice in one mapping.
    #[error("the key `{0}` stands twice in one mapping")]
    DuplicateKey(String, usize),
    /// Not YAML.
    #[error("{0}")]
    Syntax(String, usize),
}

impl YamlError {
    /// The byte that the error is about.
    pub fn at(&self) -> usize {
        match self {
            Self::TooLarge | Self::ByteOrderMark | Self::Empty => 0,
            Self::Nul(at)
            | Self::NotUtf8(at)
            | Self::TooDeep(at)
            | Self::TooMany(at)
            | Self::SecondDocument(at)
            | Self::DuplicateKey(_, at)
            | Self::Syntax(_, at) => *at,
        }
    }
}

/// Reads the one document of a text.
pub fn read(text: &str) -> Result<Node, YamlError> {
    if text.len() > MAX_BYTES {
        return Err(YamlError::TooLarge);
    }
    if text.starts_with('\u{feff}') {
        return Err(YamlError::ByteOrderMark);
    }
    if let Some(at) = text.find('\0') {
        return Err(YamlError::Nul(at));
    }
    // Files are read leniently, so that an error has a place; what was put in for bad bytes must not be written back.
    if let Some(at) = text.find('\u{fffd}') {
        return Err(YamlError::NotUtf8(at));
    }
    let mut tree = Tree::new(text);
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, range) = event.map_err(|error| tree.syntax(&error))?;
        if matches!(event, Event::DocumentStart(_)) {
            documents += 1;
            if documents > 1 {
                return Err(YamlError::SecondDocument(tree.byte(range.start.index())));
            }
        }
        tree.take(event, range)?;
    }
    tree.root.filter(|root| !root.is_null()).ok_or(YamlError::Empty)
}

/// A collection that is still open.
struct Open {
    node: Node,
    key: Option<Node>,
    keys: HashSet<String>,
    anchor: usize,
}

/// The tree as far as it is built.
struct Tree<'a> {
    text: &'a str,
    /// Byte of each character; empty where every character is one byte.
    bytes: Vec<usize>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

impl<'a> Tree<'a> {
    fn new(text: &'a str) -> Self {
        let bytes = if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(at, _)| at).collect() };
        Self { text, bytes, open: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None }
    }

    fn byte(&self, character: usize) -> usize {
        if self.bytes.is_empty() {
            return character.min(self.text.len());
        }
        self.bytes.get(character).copied().unwrap_or(self.text.len())
    }

    fn span(&self, range: Range) -> Span {
        let (start, end) = (self.byte(range.start.index()), self.byte(range.end.index()));
        let kept = self.text.get(start..end).unwrap_or_default().trim_end().len();
        Span::new(start, start + kept)
    }

    fn syntax(&self, error: &ScanError) -> YamlError {
        let at = self.byte(error.marker().index());
        // The scanner gives up at 255 open brackets before it has told of the first.
        if error.info().contains("recursion limit") {
            YamlError::TooDeep(at)
        } else {
            YamlError::Syntax(error.info().to_owned(), at)
        }
    }

    fn take(&mut self, event: Event, range: Range) -> Result<(), YamlError> {
        let span = self.span(range);
        match event {
            Event::Scalar(value, style, anchor, _) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Literal => Style::Literal,
                    ScalarStyle::Folded => Style::Folded,
                };
                let kind = Kind::Scalar(value.into_owned(), style);
                self.close(Node { span, kind, shared: anchor > 0, flow: false }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(span, Kind::Seq(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.begin(span, Kind::Map(Vec::new()), anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let mut node = open.node;
                if node.flow {
                    node.span.end = self.byte(range.end.index()).max(node.span.start);
                } else {
                    node.span = around(&node);
                }
                self.close(node, open.anchor)
            }
            Event::Alias(anchor) => {
                let mut node = self
                    .anchors
                    .get(&anchor)
                    .cloned()
                    .ok_or_else(|| YamlError::Syntax("an alias inside its own anchor".to_owned(), span.start))?;
                self.nodes += count(&node);
                mark_shared(&mut node);
                self.close(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, span: Span, kind: Kind, anchor: usize) -> Result<(), YamlError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(YamlError::TooDeep(span.start));
        }
        let flow = matches!(self.text.as_bytes().get(span.start), Some(b'[' | b'{'));
        self.open.push(Open {
            node: Node { span, kind, shared: anchor > 0, flow },
            key: None,
            keys: HashSet::new(),
            anchor,
        });
        Ok(())
    }

    fn close(&mut self, mut node: Node, anchor: usize) -> Result<(), YamlError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(YamlError::TooMany(node.span.start));
        }
        if anchor > 0 {
            mark_shared(&mut node);
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.node.kind {
            Kind::Seq(items) => items.push(node),
            Kind::Map(entries) => match open.key.take() {
                None => {
                    let twice = node.text().filter(|key| !open.keys.insert((*key).to_owned()));
                    if let Some(key) = twice {
                        return Err(YamlError::DuplicateKey(key.to_owned(), node.span.start));
                    }
                    open.key = Some(node);
                }
                Some(key) => entries.push((key, node)),
            },
            Kind::Scalar(..) => {}
        }
        Ok(())
    }
}

/// From the first child's start to the last child's end.
fn around(node: &Node) -> Span {
    let ends: Vec<Span> = match &node.kind {
        Kind::Seq(items) => items.iter().map(|item| item.span).collect(),
        Kind::Map(entries) => entries.iter().flat_map(|(key, value)| [key.span, value.span]).collect(),
        Kind::Scalar(..) => Vec::new(),
    };
    let own = |span: &&Span| span.start >= node.span.start;
    let end = ends.iter().filter(own).map(|span| span.end).max().unwrap_or(node.span.end);
    Span::new(node.span.start, end)
}

fn count(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar(..) => 1,
        Kind::Seq(items) => 1 + items.iter().map(count).sum::<usize>(),
        Kind::Map(entries) => 1 + entries.iter().map(|(key, value)| count(key) + count(value)).sum::<usize>(),
    }
}

fn mark_shared(node: &mut Node) {
    node.shared = true;
    match &mut node.kind {
        Kind::Scalar(..) => {}
        Kind::Seq(items) => items.iter_mut().for_each(mark_shared),
        Kind::Map(entries) => {
            for (key, value) in entries {
                mark_shared(key);
                mark_shared(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn slice<'a>(text: &'a str, node: &Node) -> &'a str {
        &text[node.span.start..node.span.end]
    }

    #[test]
    fn every_node_knows_its_bytes() {
        let text = "on: push # why\njobs:\n  é:\n    steps:\n      - run: |\n          one\n          two\n\n      - {uses: 'x@v1', with: [a, b]}\n";
        let root = read(text).unwrap();
        assert_eq!(slice(text, root.get("on").unwrap()), "push");
        let job = root.get("jobs").unwrap().entries();
        assert_eq!(slice(text, &job[0].0), "é");
        let steps = job[0].1.get("steps").unwrap();
        let run = steps.items()[0].get("run").unwrap();
        assert_eq!(run.text(), Some("one\ntwo\n"));
        assert_eq!(slice(text, run), "one\n          two");
        assert_eq!(slice(text, &steps.items()[1]), "{uses: 'x@v1', with: [a, b]}");
        assert_eq!(slice(text, steps.items()[1].get("uses").unwrap()), "'x@v1'");
        assert!(steps.items()[1].flow && !steps.flow);
        assert!(slice(text, steps).starts_with("- run") && slice(text, steps).ends_with("b]}"));
    }

    #[test]
    fn line_endings_of_windows_do_not_move_spans() {
        let text = "on: push\r\njobs:\r\n  a:\r\n    steps:\r\n      - run: |\r\n          one\r\n      - run: two\r\n";
        let root = read(text).unwrap();
        let steps = root.get("jobs").unwrap().get("a").unwrap().get("steps").unwrap().items();
        assert_eq!(slice(text, steps[1].get("run").unwrap()), "two");
        assert_eq!(slice(text, steps[0].get("run").unwrap()), "one");
    }

    #[test]
    fn aliases_are_followed_and_marked() {
        let root = read("a: &x {k: 1}\nb: *x\nc: 2\n").unwrap();
        assert_eq!(root.get("b").unwrap().get("k").unwrap().text(), Some("1"));
        assert!(root.get("a").unwrap().shared && root.get("b").unwrap().shared);
        assert!(!root.get("c").unwrap().shared);
        assert_eq!(root.get("a"), root.get("b"));
        assert_ne!(root.get("a"), root.get("c"));
        assert_ne!(read("1").unwrap(), read("'1'").unwrap());
    }

    #[test]
    fn hostile_text_gets_a_clear_error_at_once() {
        let bomb = (1..12).fold("a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned(), |text, n| {
            let p = n - 1;
            format!("{text}a{n}: &a{n} [*a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}]\n")
        });
        let cases = [
            ("x".repeat(10 << 20), "more than"),
            ("[".repeat(1 << 20), "nested deeper"),
            ("- ".repeat(1 << 19), "nested deeper"),
            (bomb, "aliases"),
            ("a: 1\0".to_owned(), "NUL"),
            ("a: \u{fffd}".to_owned(), "no UTF-8"),
            ("\u{feff}a: 1".to_owned(), "byte order mark"),
            ("a: 1\n---\nb: 2\n".to_owned(), "second YAML document"),
            (String::new(), "empty"),
            ("# only a comment\n".to_owned(), "empty"),
            ("a: 1\na: 2\n".to_owned(), "stands twice"),
            ("a: &x [*x]\n".to_owned(), ""),
            ("a: [1, 2\nb: 3".to_owned(), ""),
            ("a:\n\t- b\n".to_owned(), ""),
        ];
        for (text, expected) in cases {
            let start = Instant::now();
            let error = read(&text).unwrap_err();
            let head: String = text.chars().take(30).collect();
            assert!(error.to_string().contains(expected), "{head:?}: {error}");
            assert!(error.at() <= text.len());
            assert!(start.elapsed() < Duration::from_secs(1), "{head:?} took {:?}", start.elapsed());
        }
    }

    #[test]
    fn nodes_answer_simply() {
        let root = read("a:\nb: [1]\nc: x\n").unwrap();
        assert!(root.get("a").unwrap().is_null());
        assert!(root.get("a").unwrap().one_or_many().is_empty());
        assert_eq!(root.get("b").unwrap().one_or_many().len(), 1);
        assert_eq!(root.get("c").unwrap().one_or_many().len(), 1);
        let words: Vec<_> = ["a", "b"].map(|key| root.get(key).unwrap().word()).into();
        assert_eq!((words, root.word()), (vec!["a value", "a list"], "a mapping"));
        assert!(root.items().is_empty() && root.get("c").unwrap().entries().is_empty());
        assert!(root.text().is_none());
    }
}
