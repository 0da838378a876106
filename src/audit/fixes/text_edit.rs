//! Where text goes: routes into the tree, indents, ends of lines.

use super::super::fix::{Fix, SemanticChange, TextEdit, YamlPathSegment};
use super::super::project::JobView;
use super::super::source::{SourceFile, Span};
use super::super::workflow::{WorkflowFileKind, WorkflowStep};
use super::super::yaml::YamlNode;

/// The route to a job.
pub(super) fn job_path(view: &JobView) -> Vec<YamlPathSegment> {
    match view.workflow.kind {
        WorkflowFileKind::Workflow => vec!["jobs".into(), view.job.id.value.as_str().into()],
        WorkflowFileKind::CompositeAction => vec!["runs".into()],
    }
}

/// The route to a step, and a key of it where one is named.
pub(super) fn step_path(view: &JobView, step: &WorkflowStep, key: Option<&str>) -> Vec<YamlPathSegment> {
    let mut route = job_path(view);
    route.extend(["steps".into(), step.index.into()]);
    route.extend(key.map(YamlPathSegment::from));
    route
}

/// As many spaces as stand before a byte in its line, whatever stands there.
pub(super) fn indent_at(source: &SourceFile, byte: usize) -> String {
    " ".repeat(byte - source.line_start(source.line_index(byte)))
}

/// An edit that puts whole lines after the line that holds a byte.
pub(super) fn insert_lines_after(source: &SourceFile, byte: usize, lines: &[String]) -> TextEdit {
    let at = source
        .line_start(source.line_index(byte.saturating_sub(1).max(source.line_start(source.line_index(byte)))) + 1);
    insert_lines_at(source, at, lines)
}

/// An edit that puts whole lines where a line starts, or after the last line.
pub(super) fn insert_lines_at(source: &SourceFile, at: usize, lines: &[String]) -> TextEdit {
    let ending = source.line_ending();
    let open = at == source.text.len() && !source.text.ends_with('\n');
    let text = if open {
        lines.iter().map(|line| format!("{ending}{line}")).collect()
    } else {
        lines.iter().map(|line| format!("{line}{ending}")).collect()
    };
    TextEdit { span: Span::new(at, at), text }
}

/// The bytes of whole lines, from the line of one byte to that of another.
pub(super) fn expand_to_lines(source: &SourceFile, span: Span) -> Span {
    let last = span.end.max(span.start + 1) - 1;
    Span::new(source.line_start(source.line_index(span.start)), source.line_start(source.line_index(last) + 1))
}

/// Where the comments right above a line begin, as far as they are indented as it is.
pub(super) fn leading_comments_start(source: &SourceFile, byte: usize) -> usize {
    let mut line = source.line_index(byte);
    let depth = source.line_text(line).len() - source.line_text(line).trim_start().len();
    while let Some(above) = line.checked_sub(1) {
        let text = source.line_text(above);
        if !text.trim_start().starts_with('#') || text.len() - text.trim_start().len() != depth {
            break;
        }
        line = above;
    }
    source.line_start(line)
}

/// A variable's value: a word as it is, all else in quotes.
pub(super) fn quote_if_needed(value: &str) -> String {
    let word = value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !matches!(
            value.to_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if word { value.to_owned() } else { quote_scalar(value) }
}

/// A text as a YAML value in double quotes.
pub(super) fn quote_scalar(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A fix of one file.
pub(super) fn build_fix(
    view: &JobView,
    title: &str,
    safe: bool,
    edits: Vec<TextEdit>,
    changes: Vec<SemanticChange>,
) -> Fix {
    Fix { title: title.to_owned(), safe, source: view.source().clone(), edits, changes }
}

/// The same fix, applied only with `--unsafe-fixes`.
#[must_use]
pub(crate) fn mark_unsafe(fix: Fix) -> Fix {
    Fix { safe: false, ..fix }
}

/// An edit that adds an entry at the end of a mapping, in its own style.
pub(super) fn append_mapping_entry(
    source: &SourceFile,
    mapping: &YamlNode,
    key: &str,
    value: &str,
) -> Option<TextEdit> {
    let (last_key, last_value) = mapping.entries().last()?;
    let end = last_value.span.end.max(last_key.span.end);
    if mapping.aliased {
        return None;
    }
    if mapping.is_flow {
        return Some(TextEdit { span: Span::new(end, end), text: format!(", {key}: {value}") });
    }
    let line = format!("{}{key}: {value}", indent_at(source, last_key.span.start));
    Some(insert_lines_after(source, end, &[line]))
}
