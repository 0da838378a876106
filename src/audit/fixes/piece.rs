//! A step as it goes from one job into another: its lines, and what they mean.

use super::super::fix::{Change, Edit};
use super::super::span::Span;
use super::super::survey::View;
use super::super::workflow::Step;
use super::super::yaml::{Kind, Node, Style};
use super::join::{Joined, installed, set_paths};
use super::place::{comments_above, quoted, whole_lines};

/// A step as it goes into the merged job: its lines, and what they mean.
pub(super) struct Piece {
    pub lines: Vec<String>,
    pub node: Node,
    pub key: String,
}

/// A step's lines with the comments above it, its logs and its tools as the merged job has them.
pub(super) fn piece(view: &View, step: &Step, joined: &Joined) -> Option<Piece> {
    let source = view.source();
    let start = comments_above(source, step.span.start);
    let lines = whole_lines(source, Span::new(start, step.span.end));
    let mut node = step.node.clone();
    let mut edits: Vec<Edit> = Vec::new();
    if let Some(path) = step.input("path").filter(|_| step.is_upload()) {
        let paths = joined.paths(&path.value);
        if paths != path.value.lines().map(str::trim).collect::<Vec<_>>() {
            let (edit, change) = set_paths(view, step, &paths)?;
            edits.push(edit);
            let Change::Set(_, _, value) = change else { return None };
            set(&mut node, &["with", "path"], &serde_json::from_str::<String>(&value).ok()?)?;
        }
    }
    if let Some((_, at, text)) = installed(view).filter(|(found, ..)| found.step == step.index) {
        let script = step.script.as_ref().filter(|script| script.exact && !script.shared)?;
        let mut new = script.text.clone();
        new.insert_str(at, &text);
        edits.push(Edit { span: script.place(Span::new(at, at)), text });
        set(&mut node, &["run"], &new)?;
    }
    let mut text = source.slice(lines).to_owned();
    for edit in edits.iter().rev() {
        text.replace_range(edit.span.start - lines.start..edit.span.end - lines.start, &edit.text);
    }
    let key = match (step.is_cache(), step.input("path")) {
        (true, Some(path)) => format!("cache {}", path.value.trim()),
        _ => flow(&node),
    };
    Some(Piece { lines: text.lines().map(str::to_owned).collect(), node, key })
}

pub(super) fn set(node: &mut Node, route: &[&str], text: &str) -> Option<()> {
    let Some((key, rest)) = route.split_first() else {
        node.kind = Kind::Scalar(text.to_owned(), Style::Literal);
        return Some(());
    };
    let Kind::Map(entries) = &mut node.kind else { return None };
    let (_, value) = entries.iter_mut().find(|(name, _)| name.text() == Some(key))?;
    set(value, rest, text)
}

/// A node in flow form.
pub(super) fn flow(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar(text, Style::Plain)
            if text.parse::<f64>().is_ok() || matches!(text.as_str(), "true" | "false") =>
        {
            text.clone()
        }
        Kind::Scalar(text, Style::Plain) if text.is_empty() || text == "~" || text == "null" => "null".to_owned(),
        Kind::Scalar(text, _) => quoted(text),
        Kind::Seq(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Kind::Map(entries) => {
            let pairs = entries.iter().map(|(key, value)| format!("{}: {}", flow(key), flow(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}
