//! YAML parser: one document into nodes with spans, with limits on size, depth and node count.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span as CharSpan};

use super::super::source::Span;
use super::node::{YamlKind, YamlNode, YamlStyle};

/// Largest file that is parsed.
pub(crate) const MAX_BYTES: usize = 2 << 20;
/// Deepest nesting that is parsed.
pub(crate) const MAX_DEPTH: usize = 64;
/// Largest number of nodes, with aliases expanded.
pub(crate) const MAX_NODES: usize = 200_000;

/// Most text of all nodes in bytes, with aliases expanded.
pub(crate) const MAX_EXPANDED_BYTES: usize = 4 * MAX_BYTES;

/// Largest file in which lines are joined with the line above.
const MAX_JOINED_BYTES: usize = 256 << 10;
/// Largest number of lines joined in one file.
const MAX_JOINED_LINES: usize = 200;

/// Error of parsing a YAML document, with the byte offset of its cause.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum YamlError {
    /// The file is larger than `MAX_BYTES`.
    #[error("the file is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// The file contains a NUL byte.
    #[error("the file contains a NUL byte and is not text")]
    NulByte(usize),
    /// The file is not UTF-8, or contains U+FFFD, which replaces invalid bytes.
    #[error("the file is not valid UTF-8, and the forge rejects it")]
    NotUtf8(usize),
    /// The file starts with a byte order mark.
    #[error("the file starts with a byte order mark: save it as UTF-8 without one")]
    ByteOrderMark,
    /// The nesting is too deep.
    #[error("nesting is deeper than {MAX_DEPTH} levels")]
    TooDeep(usize),
    /// Too many nodes, those of expanded aliases included.
    #[error("more than {MAX_NODES} nodes, those of expanded aliases included")]
    TooManyNodes(usize),
    /// Aliases repeat too much text.
    #[error("more than {MAX_EXPANDED_BYTES} bytes of text, that of expanded aliases included")]
    TooMuchText(usize),
    /// The scripts of a workflow are longer than is audited.
    #[error("{0} and is not audited; move commands to a script of the repository")]
    TooManyCommands(String, usize),
    /// A workflow has more jobs than are audited.
    #[error("the workflow has more than {0} jobs and is not audited; split it")]
    TooManyJobs(usize, usize),
    /// The file is a link out of the project, which is not read: its lines would be printed.
    #[error("the file is a link out of the project and is not read; put the file itself there")]
    LeadsOutside,
    /// With the files before it, it exceeds a limit of all workflows and actions together.
    #[error(
        "the workflows and actions of the project have more than {0} {1}: this one is not audited; audit it by its path"
    )]
    BeyondProjectLimit(usize, &'static str),
    /// The file has more than one document.
    #[error("a workflow must not contain a second YAML document")]
    SecondDocument(usize),
    /// The file has no document.
    #[error("the file is empty")]
    Empty,
    /// A mapping has a key twice.
    #[error("the mapping has the key `{0}` twice")]
    DuplicateKey(String, usize),
    /// The text is not YAML.
    #[error("{0}")]
    Syntax(String, usize),
}

impl YamlError {
    /// Returns the byte offset of the error.
    pub(crate) fn byte_offset(&self) -> usize {
        match self {
            Self::TooLarge | Self::ByteOrderMark | Self::Empty | Self::LeadsOutside | Self::BeyondProjectLimit(..) => 0,
            Self::NulByte(at)
            | Self::NotUtf8(at)
            | Self::TooDeep(at)
            | Self::TooManyNodes(at)
            | Self::TooMuchText(at)
            | Self::TooManyCommands(_, at)
            | Self::TooManyJobs(_, at)
            | Self::SecondDocument(at)
            | Self::DuplicateKey(_, at)
            | Self::Syntax(_, at) => *at,
        }
    }
}

/// Parses the single document of a text.
pub(crate) fn parse_document(text: &str) -> Result<YamlNode, YamlError> {
    if text.len() > MAX_BYTES {
        return Err(YamlError::TooLarge);
    }
    if text.starts_with('\u{feff}') {
        return Err(YamlError::ByteOrderMark);
    }
    if let Some(at) = text.find('\0') {
        return Err(YamlError::NulByte(at));
    }
    // Invalid bytes are replaced on reading, so that this error has a position; they must not be written back.
    if let Some(at) = text.find('\u{fffd}') {
        return Err(YamlError::NotUtf8(at));
    }
    let mut error = match build_tree(text, text) {
        Err(error @ YamlError::Syntax(..)) if text.len() <= MAX_JOINED_BYTES => error,
        result => return result,
    };
    let original = error.clone();
    let mut joined = text.to_owned();
    for _ in 0..MAX_JOINED_LINES {
        let YamlError::Syntax(message, at) = &error else { break };
        if !message.contains("invalid indentation") || !join_with_line_above(&mut joined, *at) {
            break;
        }
        match build_tree(text, &joined) {
            Err(next @ YamlError::Syntax(..)) if next != error => error = next,
            Err(_) => break,
            Ok(root) => return Ok(root),
        }
    }
    Err(original)
}

/// Joins the line of a byte with the one above, without moving any other byte; `false` if there is none.
///
/// The scanner rejects a line of a flow collection that is not indented more than the block around it, as a closing `]`
/// often is. Forges accept it.
fn join_with_line_above(text: &mut String, at: usize) -> bool {
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let Some(newline) = start.checked_sub(1) else { return false };
    let above_start = text.get(..newline).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let above = text.get(above_start..newline).unwrap_or_default();
    let comment = above_start + find_comment(above).unwrap_or(above.len());
    // A comment would take up the joined line.
    let spaces = " ".repeat(newline + 1 - comment);
    let is_only_comment = text.get(above_start..comment).is_some_and(|line| line.trim().is_empty());
    text.replace_range(comment..=newline, &spaces);
    !is_only_comment || above_start == 0 || join_with_line_above(text, above_start)
}

/// Returns the start of a line's comment.
fn find_comment(line: &str) -> Option<usize> {
    let mut quote = None;
    let mut previous = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') if previous.is_whitespace() => return Some(at),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        previous = c;
    }
    None
}

/// Parses `scanned`, which has the bytes of `text` except for line endings and comments, into nodes of `text`.
fn build_tree(text: &str, scanned: &str) -> Result<YamlNode, YamlError> {
    let mut tree = YamlTreeBuilder::new(text);
    let mut documents = 0;
    for event in Parser::new_from_str(scanned) {
        let (event, range) = event.map_err(|error| tree.syntax_error(&error))?;
        if matches!(event, Event::DocumentStart(_)) {
            documents += 1;
            if documents > 1 {
                return Err(YamlError::SecondDocument(tree.byte_offset(range.start.index())));
            }
        }
        tree.push_event(event, range)?;
    }
    tree.root.filter(|root| !root.is_null()).ok_or(YamlError::Empty)
}

/// A collection whose end has not been parsed.
struct OpenCollection {
    node: YamlNode,
    pending_key: Option<YamlNode>,
    seen_keys: HashSet<String>,
    anchor_id: usize,
}

/// The document under construction.
struct YamlTreeBuilder<'a> {
    text: &'a str,
    /// Byte offset of each character; empty for ASCII text.
    char_offsets: Vec<usize>,
    open_collections: Vec<OpenCollection>,
    anchors: HashMap<usize, YamlNode>,
    node_count: usize,
    /// Bytes of the scalars that aliases repeat.
    aliased_bytes: usize,
    root: Option<YamlNode>,
}

impl<'a> YamlTreeBuilder<'a> {
    fn new(text: &'a str) -> Self {
        let bytes = if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(at, _)| at).collect() };
        Self {
            text,
            char_offsets: bytes,
            open_collections: Vec::new(),
            anchors: HashMap::new(),
            node_count: 0,
            aliased_bytes: 0,
            root: None,
        }
    }

    fn byte_offset(&self, character: usize) -> usize {
        if self.char_offsets.is_empty() {
            return character.min(self.text.len());
        }
        self.char_offsets.get(character).copied().unwrap_or(self.text.len())
    }

    fn byte_span(&self, range: CharSpan) -> Span {
        let (start, end) = (self.byte_offset(range.start.index()), self.byte_offset(range.end.index()));
        let length = self.text.get(start..end).unwrap_or_default().trim_end().len();
        Span::new(start, start + length)
    }

    fn syntax_error(&self, error: &ScanError) -> YamlError {
        let at = self.byte_offset(error.marker().index());
        // The scanner fails at 255 open brackets before it emits an event for the first one.
        if error.info().contains("recursion limit") {
            YamlError::TooDeep(at)
        } else {
            YamlError::Syntax(error.info().to_owned(), at)
        }
    }

    fn push_event(&mut self, event: Event, range: CharSpan) -> Result<(), YamlError> {
        let span = self.byte_span(range);
        match event {
            Event::Scalar(value, style, anchor, _) => {
                let style = match style {
                    ScalarStyle::Plain => YamlStyle::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => YamlStyle::Quoted,
                    ScalarStyle::Literal => YamlStyle::Literal,
                    ScalarStyle::Folded => YamlStyle::Folded,
                };
                let kind = YamlKind::Scalar(value.into_owned(), style);
                self.attach_node(YamlNode { span, kind, aliased: anchor > 0, is_flow: false }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.open_collection(span, YamlKind::Seq(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.open_collection(span, YamlKind::Map(Vec::new()), anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open_collections.pop() else { return Ok(()) };
                let mut node = open.node;
                if node.is_flow {
                    node.span.end = self.byte_offset(range.end.index()).max(node.span.start);
                } else {
                    node.span = children_span(&node);
                }
                self.attach_node(node, open.anchor_id)
            }
            Event::Alias(anchor) => {
                let anchored = self
                    .anchors
                    .get(&anchor)
                    .ok_or_else(|| YamlError::Syntax("an alias refers to its own anchor".to_owned(), span.start))?;
                let (nodes, bytes) = measure_nodes(anchored);
                self.node_count += nodes;
                self.aliased_bytes += bytes;
                // Before it is copied: few nodes can have much text.
                if self.aliased_bytes > MAX_EXPANDED_BYTES {
                    return Err(YamlError::TooMuchText(span.start));
                }
                if self.node_count > MAX_NODES {
                    return Err(YamlError::TooManyNodes(span.start));
                }
                let mut node = anchored.clone();
                mark_aliased(&mut node);
                self.attach_node(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn open_collection(&mut self, span: Span, kind: YamlKind, anchor: usize) -> Result<(), YamlError> {
        if self.open_collections.len() >= MAX_DEPTH {
            return Err(YamlError::TooDeep(span.start));
        }
        let flow = matches!(self.text.as_bytes().get(span.start), Some(b'[' | b'{'));
        self.open_collections.push(OpenCollection {
            node: YamlNode { span, kind, aliased: anchor > 0, is_flow: flow },
            pending_key: None,
            seen_keys: HashSet::new(),
            anchor_id: anchor,
        });
        Ok(())
    }

    fn attach_node(&mut self, mut node: YamlNode, anchor: usize) -> Result<(), YamlError> {
        self.node_count += 1;
        if self.node_count > MAX_NODES {
            return Err(YamlError::TooManyNodes(node.span.start));
        }
        if anchor > 0 {
            mark_aliased(&mut node);
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open_collections.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.node.kind {
            YamlKind::Seq(items) => items.push(node),
            YamlKind::Map(entries) => match open.pending_key.take() {
                None => {
                    let duplicate = node.as_str().filter(|key| !open.seen_keys.insert((*key).to_owned()));
                    if let Some(key) = duplicate {
                        return Err(YamlError::DuplicateKey(key.to_owned(), node.span.start));
                    }
                    open.pending_key = Some(node);
                }
                Some(key) => entries.push((key, node)),
            },
            YamlKind::Scalar(..) => {}
        }
        Ok(())
    }
}

/// Returns the span from the collection's start to the end of its last child.
fn children_span(node: &YamlNode) -> Span {
    let ends: Vec<Span> = match &node.kind {
        YamlKind::Seq(items) => items.iter().map(|item| item.span).collect(),
        YamlKind::Map(entries) => entries.iter().flat_map(|(key, value)| [key.span, value.span]).collect(),
        YamlKind::Scalar(..) => Vec::new(),
    };
    // An alias has the span of its anchored node, which is before the collection.
    let is_inside = |span: &&Span| span.start >= node.span.start;
    let end = ends.iter().filter(is_inside).map(|span| span.end).max().unwrap_or(node.span.end);
    Span::new(node.span.start, end)
}

/// Returns the number of nodes, and the bytes of their scalars.
pub(crate) fn measure_nodes(node: &YamlNode) -> (usize, usize) {
    let add = |(nodes, bytes): (usize, usize), node: &YamlNode| {
        let (more_nodes, more_bytes) = measure_nodes(node);
        (nodes + more_nodes, bytes + more_bytes)
    };
    match &node.kind {
        YamlKind::Scalar(text, _) => (1, text.len()),
        YamlKind::Seq(items) => items.iter().fold((1, 0), add),
        YamlKind::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).fold((1, 0), add),
    }
}

fn mark_aliased(node: &mut YamlNode) {
    node.aliased = true;
    match &mut node.kind {
        YamlKind::Scalar(..) => {}
        YamlKind::Seq(items) => items.iter_mut().for_each(mark_aliased),
        YamlKind::Map(entries) => {
            for (key, value) in entries {
                mark_aliased(key);
                mark_aliased(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn slice<'a>(text: &'a str, node: &YamlNode) -> &'a str {
        &text[node.span.start..node.span.end]
    }

    #[test]
    fn every_node_has_its_span() {
        let text = "on: push # why\njobs:\n  é:\n    steps:\n      - run: |\n          one\n          two\n\n      - {uses: 'x@v1', with: [a, b]}\n";
        let root = parse_document(text).unwrap();
        assert_eq!(slice(text, root.get("on").unwrap()), "push");
        let job = root.get("jobs").unwrap().entries();
        assert_eq!(slice(text, &job[0].0), "é");
        let steps = job[0].1.get("steps").unwrap();
        let run = steps.items()[0].get("run").unwrap();
        assert_eq!(run.as_str(), Some("one\ntwo\n"));
        assert_eq!(slice(text, run), "one\n          two");
        assert_eq!(slice(text, &steps.items()[1]), "{uses: 'x@v1', with: [a, b]}");
        assert_eq!(slice(text, steps.items()[1].get("uses").unwrap()), "'x@v1'");
        assert!(steps.items()[1].is_flow && !steps.is_flow);
        assert!(slice(text, steps).starts_with("- run") && slice(text, steps).ends_with("b]}"));
    }

    #[test]
    fn windows_line_endings_do_not_move_spans() {
        let text = "on: push\r\njobs:\r\n  a:\r\n    steps:\r\n      - run: |\r\n          one\r\n      - run: two\r\n";
        let root = parse_document(text).unwrap();
        let steps = root.get("jobs").unwrap().get("a").unwrap().get("steps").unwrap().items();
        assert_eq!(slice(text, steps[1].get("run").unwrap()), "two");
        assert_eq!(slice(text, steps[0].get("run").unwrap()), "one");
    }

    #[test]
    fn aliases_are_expanded_and_marked() {
        let root = parse_document("a: &x {k: 1}\nb: *x\nc: 2\n").unwrap();
        assert_eq!(root.get("b").unwrap().get("k").unwrap().as_str(), Some("1"));
        assert!(root.get("a").unwrap().aliased && root.get("b").unwrap().aliased);
        assert!(!root.get("c").unwrap().aliased);
        assert_eq!(root.get("a"), root.get("b"));
        assert_ne!(root.get("a"), root.get("c"));
        assert_ne!(parse_document("1").unwrap(), parse_document("'1'").unwrap());
    }

    #[test]
    fn hostile_input_gets_a_clear_error_within_a_second() {
        let bomb = (1..12).fold("a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned(), |text, n| {
            let p = n - 1;
            format!("{text}a{n}: &a{n} [*a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}]\n")
        });
        let cases = [
            ("x".repeat(10 << 20), "larger than"),
            ("[".repeat(1 << 20), "nesting is deeper"),
            ("- ".repeat(1 << 19), "nesting is deeper"),
            (bomb, "aliases"),
            ("a: 1\0".to_owned(), "NUL"),
            ("a: \u{fffd}".to_owned(), "not valid UTF-8"),
            ("\u{feff}a: 1".to_owned(), "byte order mark"),
            ("a: 1\n---\nb: 2\n".to_owned(), "second YAML document"),
            (String::new(), "empty"),
            ("# only a comment\n".to_owned(), "empty"),
            ("a: 1\na: 2\n".to_owned(), "twice"),
            ("a: &x [*x]\n".to_owned(), ""),
            ("a: [1, 2\nb: 3".to_owned(), ""),
            ("a:\n\t- b\n".to_owned(), ""),
        ];
        for (text, expected) in cases {
            let start = Instant::now();
            let error = parse_document(&text).unwrap_err();
            let head: String = text.chars().take(30).collect();
            assert!(error.to_string().contains(expected), "{head:?}: {error}");
            assert!(error.byte_offset() <= text.len());
            // More than linear time would take minutes; a busy machine takes seconds.
            assert!(start.elapsed() < Duration::from_secs(60), "{head:?} took {:?}", start.elapsed());
        }
    }

    #[test]
    fn flow_collections_are_read_at_any_indentation() {
        for text in [
            "a:\n  py: [\n    '3.12', # one [ 'x\n    é,\n  ]\n  b: 1\n",
            "a:\n  py: [\n'3.12',\n\n# one\né,\n]\n  b: 1\n",
            "a:\r\n  py: [\r\n  '3.12', # one\r\n  é,\r\n  ]\r\n  b: 1\r\n",
        ] {
            let root = parse_document(text).unwrap();
            let values = root.get("a").unwrap().get("py").unwrap();
            let words: Vec<&str> = values.items().iter().map(|item| slice(text, item)).collect();
            assert_eq!(words, ["'3.12'", "é"], "{text}");
            assert!(slice(text, values).starts_with('[') && slice(text, values).ends_with(']'), "{text}");
            assert_eq!(root.get("a").unwrap().get("b").unwrap().as_str(), Some("1"));
        }
        let mapping = parse_document("a:\n  m: {\n  b: 1\n  }\n").unwrap();
        assert_eq!(mapping.get("a").unwrap().get("m").unwrap().get("b").unwrap().as_str(), Some("1"));
        let error = parse_document("a:\n  py: [\n  1\n  b: 2\n").unwrap_err();
        assert!(matches!(error, YamlError::Syntax(..)), "{error}");
    }

    #[test]
    fn nodes_return_values_and_kinds() {
        let root = parse_document("a:\nb: [1]\nc: x\n").unwrap();
        assert!(root.get("a").unwrap().is_null());
        assert!(root.get("a").unwrap().one_or_many().is_empty());
        assert_eq!(root.get("b").unwrap().one_or_many().len(), 1);
        assert_eq!(root.get("c").unwrap().one_or_many().len(), 1);
        let words: Vec<_> = ["a", "b"].map(|key| root.get(key).unwrap().describe_kind()).into();
        assert_eq!((words, root.describe_kind()), (vec!["a value", "a list"], "a mapping"));
        assert!(root.items().is_empty() && root.get("c").unwrap().entries().is_empty());
        assert!(root.as_str().is_none());
    }
}
