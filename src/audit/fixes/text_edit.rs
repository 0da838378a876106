//! Building blocks of fixes: YAML paths, indentation, line insertion, quoting.

use super::super::fix::{Applicability, Fix, SemanticChange, TextEdit, YamlPathSegment};
use super::super::project::JobView;
use super::super::source::{SourceFile, Span};
use super::super::workflow::{WorkflowFileKind, WorkflowStep};
use super::super::yaml::YamlNode;

/// Returns the path of a job.
pub(super) fn job_path(view: &JobView) -> Vec<YamlPathSegment> {
    match view.workflow.kind {
        WorkflowFileKind::Workflow => vec!["jobs".into(), view.job.id.value.as_str().into()],
        WorkflowFileKind::CompositeAction => vec!["runs".into()],
    }
}

/// Returns the path of a step, or of one of its keys.
pub(super) fn step_path(view: &JobView, step: &WorkflowStep, key: Option<&str>) -> Vec<YamlPathSegment> {
    let mut path = job_path(view);
    path.extend(["steps".into(), step.index.into()]);
    path.extend(key.map(YamlPathSegment::from));
    path
}

/// Returns spaces up to the column of a byte.
pub(super) fn indent_at(source: &SourceFile, byte: usize) -> String {
    " ".repeat(byte - source.line_start(source.line_index(byte)))
}

/// Inserts lines after the line that contains a byte.
pub(super) fn insert_lines_after(source: &SourceFile, byte: usize, lines: &[String]) -> TextEdit {
    let at = source
        .line_start(source.line_index(byte.saturating_sub(1).max(source.line_start(source.line_index(byte)))) + 1);
    insert_lines_at(source, at, lines)
}

/// Inserts lines at the start of a line, or after the last line.
pub(super) fn insert_lines_at(source: &SourceFile, at: usize, lines: &[String]) -> TextEdit {
    let ending = source.line_ending();
    let lacks_final_newline = at == source.text.len() && !source.text.ends_with('\n');
    let text = if lacks_final_newline {
        lines.iter().map(|line| format!("{ending}{line}")).collect()
    } else {
        lines.iter().map(|line| format!("{line}{ending}")).collect()
    };
    TextEdit { span: Span::new(at, at), text }
}

/// Expands a span to whole lines, including the last line ending.
pub(super) fn expand_to_lines(source: &SourceFile, span: Span) -> Span {
    let last = span.end.max(span.start + 1) - 1;
    Span::new(source.line_start(source.line_index(span.start)), source.line_start(source.line_index(last) + 1))
}

/// Returns the start of the comments directly above a line that have its indentation.
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

/// Returns a plain word unchanged; any other value in quotes.
pub(super) fn quote_if_needed(value: &str) -> String {
    let word = value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !matches!(
            value.to_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if word { value.to_owned() } else { quote_scalar(value) }
}

/// Returns a YAML scalar in double quotes.
pub(super) fn quote_scalar(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Builds a fix that does not change which sessions run or what they do.
pub(super) fn safe_fix(view: &JobView, title: &str, edits: Vec<TextEdit>, changes: Vec<SemanticChange>) -> Fix {
    build_fix(view, title, Applicability::Safe, edits, changes)
}

/// Builds a fix that may change how the workflow does it, but keeps every session and command.
pub(super) fn unsafe_fix(view: &JobView, title: &str, edits: Vec<TextEdit>, changes: Vec<SemanticChange>) -> Fix {
    build_fix(view, title, Applicability::Unsafe, edits, changes)
}

/// Returns a fix of the workflow that contains the job.
fn build_fix(
    view: &JobView,
    title: &str,
    applicability: Applicability,
    edits: Vec<TextEdit>,
    changes: Vec<SemanticChange>,
) -> Fix {
    Fix { title: title.to_owned(), applicability, source: view.source().clone(), edits, changes }
}

/// Returns the fix as one that is applied only with `--unsafe-fixes`.
#[must_use]
pub(crate) fn mark_unsafe(fix: Fix) -> Fix {
    Fix { applicability: fix.applicability.max(Applicability::Unsafe), ..fix }
}

/// Returns the fix as a patch to review, which noxide never applies.
#[must_use]
pub(crate) fn mark_display_only(fix: Fix) -> Fix {
    Fix { applicability: Applicability::DisplayOnly, ..fix }
}

/// Appends an entry to a mapping, in the mapping's own style.
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
