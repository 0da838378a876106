//! Where text goes: routes into the tree, indents, ends of lines.

use super::super::fix::{Change, Edit, Fix, Segment};
use super::super::span::{Source, Span};
use super::super::survey::View;
use super::super::workflow::{FileKind, Step};
use super::super::yaml::Node;

/// The route to a job.
pub(super) fn job(view: &View) -> Vec<Segment> {
    match view.workflow.kind {
        FileKind::Workflow => vec!["jobs".into(), view.job.id.value.as_str().into()],
        FileKind::Action => vec!["runs".into()],
    }
}

/// The route to a step, and a key of it where one is named.
pub(super) fn step(view: &View, step: &Step, key: Option<&str>) -> Vec<Segment> {
    let mut route = job(view);
    route.extend(["steps".into(), step.index.into()]);
    route.extend(key.map(Segment::from));
    route
}

/// As many spaces as stand before a byte in its line, whatever stands there.
pub(super) fn indent(source: &Source, byte: usize) -> String {
    " ".repeat(byte - source.line_start(source.line_of(byte)))
}

/// An edit that puts whole lines after the line that holds a byte.
pub(super) fn lines_after(source: &Source, byte: usize, lines: &[String]) -> Edit {
    let at = source.line_start(source.line_of(byte.saturating_sub(1).max(source.line_start(source.line_of(byte)))) + 1);
    lines_at(source, at, lines)
}

/// An edit that puts whole lines where a line starts, or after the last line.
pub(super) fn lines_at(source: &Source, at: usize, lines: &[String]) -> Edit {
    let ending = source.ending();
    let open = at == source.text.len() && !source.text.ends_with('\n');
    let text = if open {
        lines.iter().map(|line| format!("{ending}{line}")).collect()
    } else {
        lines.iter().map(|line| format!("{line}{ending}")).collect()
    };
    Edit { span: Span::new(at, at), text }
}

/// The bytes of whole lines, from the line of one byte to that of another.
pub(super) fn whole_lines(source: &Source, span: Span) -> Span {
    let last = span.end.max(span.start + 1) - 1;
    Span::new(source.line_start(source.line_of(span.start)), source.line_start(source.line_of(last) + 1))
}

/// Where the comments right above a line begin, as far as they are indented as it is.
pub(super) fn comments_above(source: &Source, byte: usize) -> usize {
    let mut line = source.line_of(byte);
    let depth = source.line(line).len() - source.line(line).trim_start().len();
    while let Some(above) = line.checked_sub(1) {
        let text = source.line(above);
        if !text.trim_start().starts_with('#') || text.len() - text.trim_start().len() != depth {
            break;
        }
        line = above;
    }
    source.line_start(line)
}

/// A variable's value: a word as it is, all else in quotes.
pub(super) fn scalar(value: &str) -> String {
    let word = value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !matches!(
            value.to_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if word { value.to_owned() } else { quoted(value) }
}

/// A text as a YAML value in double quotes.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A fix of one file.
pub(super) fn fix(view: &View, title: &str, safe: bool, edits: Vec<Edit>, changes: Vec<Change>) -> Fix {
    Fix { title: title.to_owned(), safe, source: view.source().clone(), edits, changes }
}

/// The same fix, applied only with `--unsafe-fixes`.
#[must_use]
pub fn risky(fix: Fix) -> Fix {
    Fix { safe: false, ..fix }
}

/// An edit that adds an entry at the end of a mapping, in its own style.
pub(super) fn add_entry(source: &Source, mapping: &Node, key: &str, value: &str) -> Option<Edit> {
    let (last_key, last_value) = mapping.entries().last()?;
    let end = last_value.span.end.max(last_key.span.end);
    if mapping.shared {
        return None;
    }
    if mapping.flow {
        return Some(Edit { span: Span::new(end, end), text: format!(", {key}: {value}") });
    }
    let line = format!("{}{key}: {value}", indent(source, last_key.span.start));
    Some(lines_after(source, end, &[line]))
}
