//! Fixes of job keys and steps: insert, move, replace, remove.

use super::super::fix::{Fix, SemanticChange, TextEdit};
use super::super::project::JobView;
use super::super::source::Span;
use super::super::workflow::{SpannedText, WorkflowStep};
use super::super::yaml::{YamlKind, YamlNode, YamlStyle};
use super::text_edit::{
    self, append_mapping_entry, expand_to_lines, indent_at, insert_lines_after, leading_comments_start, quote_scalar,
    safe_fix, unsafe_fix,
};

/// Sets an input of an action.
pub(crate) fn set_action_input(
    view: &JobView,
    step: &WorkflowStep,
    name: &str,
    value: &str,
    title: &str,
) -> Option<Fix> {
    let source = view.source();
    let path = text_edit::step_path(view, step, Some("with"));
    let edit = if let Some(old) = step.input_value(name) {
        (!old.aliased).then(|| TextEdit { span: old.span, text: value.to_owned() })?
    } else if let Some(with) = step.node.get("with").filter(|with| !with.entries().is_empty()) {
        append_mapping_entry(source, with, name, value)?
    } else {
        let (key, uses) = step.node.get_entry("uses")?;
        if step.node.is_flow || step.node.aliased || step.node.get("with").is_some() {
            return None;
        }
        let indent = indent_at(source, key.span.start);
        let lines = [format!("{indent}with:"), format!("{indent}  {name}: {value}")];
        let change = SemanticChange::Set(
            text_edit::step_path(view, step, None),
            "with".to_owned(),
            format!("{{{name}: {value}}}"),
        );
        return Some(safe_fix(view, title, vec![insert_lines_after(source, uses.span.end, &lines)], vec![change]));
    };
    let change = SemanticChange::Set(path, name.to_owned(), value.to_owned());
    Some(safe_fix(view, title, vec![edit], vec![change]))
}

/// Inserts a key into a job, after another key. The fix counts as safe.
pub(crate) fn insert_job_key(view: &JobView, after: &str, key: &str, value: &str, title: &str) -> Option<Fix> {
    let node = &view.job.node;
    let (name, old) = node.get_entry(after)?;
    if node.is_flow || node.aliased {
        return None;
    }
    let source = view.source();
    let line = format!("{}{key}: {value}", indent_at(source, name.span.start));
    let edit = insert_lines_after(source, old.span.end.max(name.span.end), &[line]);
    let change = SemanticChange::Set(text_edit::job_path(view), key.to_owned(), value.to_owned());
    Some(safe_fix(view, title, vec![edit], vec![change]))
}

/// Inserts a key at the start of a job's strategy.
pub(crate) fn insert_strategy_key(view: &JobView, key: &str, value: &str, title: &str) -> Option<Fix> {
    let strategy = view.job.node.get("strategy")?;
    let (first, _) = strategy.entries().first()?;
    if strategy.aliased {
        return None;
    }
    let at = first.span.start;
    let text = if strategy.is_flow {
        format!("{key}: {value}, ")
    } else {
        format!("{key}: {value}{}{}", view.source().line_ending(), indent_at(view.source(), at))
    };
    let mut path = text_edit::job_path(view);
    path.push("strategy".into());
    let change = SemanticChange::Set(path, key.to_owned(), value.to_owned());
    Some(safe_fix(view, title, vec![TextEdit { span: Span::new(at, at), text }], vec![change]))
}

/// Removes a key of a job.
pub(crate) fn remove_job_key(view: &JobView, key: &str, title: &str) -> Option<Fix> {
    let node = &view.job.node;
    let (name, value) = node.get_entry(key)?;
    if node.is_flow || node.aliased || value.aliased {
        return None;
    }
    let lines = expand_to_lines(view.source(), Span::new(name.span.start, value.span.end.max(name.span.end)));
    let change = SemanticChange::Remove(text_edit::job_path(view), key.to_owned());
    Some(unsafe_fix(view, title, vec![TextEdit { span: lines, text: String::new() }], vec![change]))
}

/// Moves a step and the comments above it before another step.
pub(crate) fn move_step(view: &JobView, from: usize, to: usize, title: &str) -> Option<Fix> {
    let steps = view.job.node.get("steps")?;
    let (moved, target) = (view.step(from)?, view.step(to)?);
    if steps.is_flow || steps.aliased || moved.node.is_flow || moved.node.aliased || from <= to {
        return None;
    }
    let source = view.source();
    let start = leading_comments_start(source, moved.span.start);
    let lines = expand_to_lines(source, Span::new(start, moved.span.end));
    let mut first_blank_line = source.line_index(start);
    while first_blank_line > 0 && source.line_text(first_blank_line - 1).trim().is_empty() {
        first_blank_line -= 1;
    }
    let mut removed = Span::new(source.line_start(first_blank_line), lines.end);
    let mut text = source.slice(lines).to_owned();
    if !text.ends_with('\n') {
        text.push_str(source.line_ending());
        removed.start -= source.line_ending().len();
    }
    text.push_str(source.slice(Span::new(source.line_start(first_blank_line), start)));
    let at = leading_comments_start(source, target.span.start);
    let mut path = text_edit::job_path(view);
    path.push("steps".into());
    let edits = vec![TextEdit { span: Span::new(at, at), text }, TextEdit { span: removed, text: String::new() }];
    Some(unsafe_fix(view, title, edits, vec![SemanticChange::Move { path, from, to }]))
}

/// Moves a cache step before another step. Returns `None` if it uses results of a step in between, or hashes files that
/// are not there before the checkout.
pub(crate) fn move_cache_step(view: &JobView, from: usize, to: usize, title: &str) -> Option<Fix> {
    let text = view.source().slice(view.step(from)?.span);
    let is_declared = |name: &str| view.workflow.resolve_variable(view.job, None, name).is_some();
    let variables = text.split("env.").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    });
    let checkout = view.job.steps.iter().find(|step| step.uses_action("actions/checkout"))?;
    let is_movable = !text.contains("steps.") && variables.clone().all(is_declared) && checkout.index < to;
    is_movable.then(|| move_step(view, from, to, title))?
}

/// Inserts a step before another step and its comments.
pub(crate) fn insert_step(
    view: &JobView,
    before: &WorkflowStep,
    lines: &[String],
    value: &str,
    title: &str,
) -> Option<Fix> {
    let steps = view.job.node.get("steps")?;
    if steps.is_flow || steps.aliased || before.node.is_flow {
        return None;
    }
    let source = view.source();
    let at = leading_comments_start(source, before.span.start);
    let mut lines = lines.to_vec();
    let line = source.line_index(at);
    if before.index > 0 && line > 0 && source.line_text(line - 1).trim().is_empty() {
        lines.push(String::new());
    }
    let mut path = text_edit::job_path(view);
    path.push("steps".into());
    let change = SemanticChange::Insert(path, before.index, value.to_owned());
    Some(unsafe_fix(view, title, vec![text_edit::insert_lines_at(source, at, &lines)], vec![change]))
}

/// Appends a step.
pub(crate) fn append_step(view: &JobView, lines: &[String], value: &str) -> Option<(TextEdit, SemanticChange)> {
    let steps = view.job.node.get("steps")?;
    let last = view.job.steps.last()?;
    if steps.is_flow || steps.aliased || last.node.is_flow {
        return None;
    }
    let mut path = text_edit::job_path(view);
    path.push("steps".into());
    let change = SemanticChange::Insert(path, last.index + 1, value.to_owned());
    Some((insert_lines_after(view.source(), last.span.end, lines), change))
}

/// Returns the indentation of the dashes of a job's steps.
pub(crate) fn step_indent(view: &JobView) -> Option<String> {
    let first = view.job.steps.first()?;
    let source = view.source();
    let line = source.line_text(source.line_index(first.span.start));
    let before = line.len() - line.trim_start().len();
    line.trim_start().starts_with('-').then(|| " ".repeat(before))
}

/// Replaces the version in a `uses`.
pub(crate) fn set_action_version(view: &JobView, step: &WorkflowStep, version: &str) -> Option<Fix> {
    let uses = step.uses.as_ref()?;
    // A commit is pinned on purpose, and the commit of a newer version is not known.
    step.action.as_ref().filter(|action| !action.is_commit())?;
    let (action, _) = uses.value.rsplit_once('@')?;
    replace_uses(view, step, &format!("{action}@{version}"), &format!("update to {version}"))
}

/// Replaces the value of a `uses`.
pub(crate) fn replace_uses(view: &JobView, step: &WorkflowStep, text: &str, title: &str) -> Option<Fix> {
    let uses = step.uses.as_ref().filter(|uses| !uses.aliased)?;
    let span = unquoted_value_span(view, uses)?;
    let change = SemanticChange::Set(text_edit::step_path(view, step, None), "uses".to_owned(), quote_scalar(text));
    Some(safe_fix(view, title, vec![TextEdit { span, text: text.to_owned() }], vec![change]))
}

/// Returns the span of a one-line value without its quotes.
fn unquoted_value_span(view: &JobView, text: &SpannedText) -> Option<Span> {
    let inset = (text.span.end - text.span.start).checked_sub(text.value.len())? / 2;
    let span = Span::new(text.span.start + inset, text.span.end - inset);
    (view.source().slice(span) == text.value).then_some(span)
}

/// Adds `if: always()` to a step.
pub(crate) fn add_always_condition(view: &JobView, step: &WorkflowStep) -> Option<Fix> {
    let (key, value) = step.node.entries().first()?;
    if step.node.aliased {
        return None;
    }
    let end = value.span.end.max(key.span.end);
    let edit = if step.node.is_flow {
        TextEdit { span: Span::new(end, end), text: ", if: always()".to_owned() }
    } else {
        insert_lines_after(view.source(), end, &[format!("{}if: always()", indent_at(view.source(), key.span.start))])
    };
    let change = SemanticChange::Set(text_edit::step_path(view, step, None), "if".to_owned(), "always()".to_owned());
    Some(safe_fix(view, "upload even if a session failed", vec![edit], vec![change]))
}

/// Adds a file to the `path` of an upload.
pub(crate) fn add_upload_path(view: &JobView, step: &WorkflowStep, path: &SpannedText, file: &str) -> Option<Fix> {
    let with: &YamlNode = step.node.get("with")?;
    let (key, value) = with.get_entry("path")?;
    let YamlKind::Scalar(_, style) = &value.kind else { return None };
    if with.is_flow || path.aliased || *style == YamlStyle::Folded {
        return None;
    }
    let source = view.source();
    let mut lines: Vec<String> = path.value.lines().map(str::to_owned).collect();
    lines.push(file.to_owned());
    let value = format!("{}\n", lines.join("\n"));
    let edit = if *style == YamlStyle::Literal {
        insert_lines_after(source, path.span.end, &[format!("{}{file}", indent_at(source, path.span.start))])
    } else {
        let indent = format!("{}{}  ", source.line_ending(), indent_at(source, key.span.start));
        TextEdit { span: path.span, text: format!("|{indent}{}", lines.join(&indent)) }
    };
    let change =
        SemanticChange::Set(text_edit::step_path(view, step, Some("with")), "path".to_owned(), quote_scalar(&value));
    Some(safe_fix(view, &format!("add {file} to the upload"), vec![edit], vec![change]))
}

/// Sets a variable in the `env` of steps; `None` if they are in several files.
pub(crate) fn set_step_variable(
    steps: &[(JobView, &WorkflowStep)],
    name: &str,
    value: &str,
    title: &str,
) -> Option<Fix> {
    let (view, _) = steps.first()?;
    let mut edits = Vec::new();
    let mut changes = Vec::new();
    steps.iter().all(|(other, _)| other.source() == view.source()).then_some(())?;
    for (other, step) in steps {
        let source = other.source();
        if let Some(env) = step.node.get("env").filter(|env| !env.entries().is_empty()) {
            edits.push(append_mapping_entry(source, env, name, value)?);
            changes.push(SemanticChange::Set(
                text_edit::step_path(other, step, Some("env")),
                name.to_owned(),
                value.to_owned(),
            ));
            continue;
        }
        let (key, run) = step.node.get_entry("run")?;
        if step.node.is_flow || step.node.aliased || step.node.get("env").is_some() {
            return None;
        }
        let indent = indent_at(source, key.span.start);
        edits.push(insert_lines_after(
            source,
            run.span.end,
            &[format!("{indent}env:"), format!("{indent}  {name}: {value}")],
        ));
        changes.push(SemanticChange::Set(
            text_edit::step_path(other, step, None),
            "env".to_owned(),
            format!("{{{name}: {value}}}"),
        ));
    }
    Some(unsafe_fix(view, title, edits, changes))
}
