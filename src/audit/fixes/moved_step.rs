//! A step as it goes from one job into another: its lines, and what they mean.

use super::super::fix::{SemanticChange, TextEdit};
use super::super::project::JobView;
use super::super::source::Span;
use super::super::workflow::WorkflowStep;
use super::super::yaml::{YamlKind, YamlNode, YamlStyle};
use super::join_nox_calls::{JoinedCalls, find_noxide_insertion, replace_upload_paths};
use super::text_edit::{expand_to_lines, leading_comments_start, quote_scalar};

/// A step as it goes into the merged job: its lines, and what they mean.
pub(super) struct MovedStep {
    pub(crate) lines: Vec<String>,
    pub(crate) node: YamlNode,
    pub(crate) dedup_key: String,
}

/// A step's lines with the comments above it, its logs and its tools as the merged job has them.
pub(super) fn build_moved_step(view: &JobView, step: &WorkflowStep, joined: &JoinedCalls) -> Option<MovedStep> {
    let source = view.source();
    let start = leading_comments_start(source, step.span.start);
    let lines = expand_to_lines(source, Span::new(start, step.span.end));
    let mut node = step.node.clone();
    let mut edits: Vec<TextEdit> = Vec::new();
    if let Some(path) = step.input_value("path").filter(|_| step.is_artifact_upload()) {
        let paths = joined.replace_log_paths(&path.value);
        if paths != path.value.lines().map(str::trim).collect::<Vec<_>>() {
            let (edit, change) = replace_upload_paths(view, step, &paths)?;
            edits.push(edit);
            let SemanticChange::Set(_, _, value) = change else { return None };
            set_scalar(&mut node, &["with", "path"], &serde_json::from_str::<String>(&value).ok()?)?;
        }
    }
    if let Some((_, at, text)) = find_noxide_insertion(view).filter(|(found, ..)| found.step_index == step.index) {
        let script = step.script.as_ref().filter(|script| script.is_byte_exact && !script.aliased)?;
        let mut new = script.text.clone();
        new.insert_str(at, &text);
        edits.push(TextEdit { span: script.file_span(Span::new(at, at)), text });
        set_scalar(&mut node, &["run"], &new)?;
    }
    let mut text = source.slice(lines).to_owned();
    for edit in edits.iter().rev() {
        text.replace_range(edit.span.start - lines.start..edit.span.end - lines.start, &edit.text);
    }
    let key = match (step.is_cache_restore(), step.input_value("path")) {
        (true, Some(path)) => format!("cache {}", path.value.trim()),
        _ => to_flow_yaml(&node),
    };
    Some(MovedStep { lines: text.lines().map(str::to_owned).collect(), node, dedup_key: key })
}

pub(super) fn set_scalar(node: &mut YamlNode, route: &[&str], text: &str) -> Option<()> {
    let Some((key, rest)) = route.split_first() else {
        node.kind = YamlKind::Scalar(text.to_owned(), YamlStyle::Literal);
        return Some(());
    };
    let YamlKind::Map(entries) = &mut node.kind else { return None };
    let (_, value) = entries.iter_mut().find(|(name, _)| name.as_str() == Some(key))?;
    set_scalar(value, rest, text)
}

/// A node in flow form.
pub(super) fn to_flow_yaml(node: &YamlNode) -> String {
    match &node.kind {
        YamlKind::Scalar(text, YamlStyle::Plain)
            if text.parse::<f64>().is_ok() || matches!(text.as_str(), "true" | "false") =>
        {
            text.clone()
        }
        YamlKind::Scalar(text, YamlStyle::Plain) if text.is_empty() || text == "~" || text == "null" => {
            "null".to_owned()
        }
        YamlKind::Scalar(text, _) => quote_scalar(text),
        YamlKind::Seq(items) => format!("[{}]", items.iter().map(to_flow_yaml).collect::<Vec<_>>().join(", ")),
        YamlKind::Map(entries) => {
            let pairs = entries.iter().map(|(key, value)| format!("{}: {}", to_flow_yaml(key), to_flow_yaml(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}
