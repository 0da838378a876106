//! Fixes of keys and steps: inserted, moved, replaced.

use super::super::fix::{Change, Edit, Fix};
use super::super::span::Span;
use super::super::survey::View;
use super::super::workflow::{Step, Text};
use super::super::yaml::{Kind, Node, Style};
use super::place::{self, add_entry, comments_above, fix, indent, lines_after, quoted, whole_lines};

/// Gives an action an input, new or instead of an old one.
pub fn set_input(view: &View, step: &Step, name: &str, value: &str, title: &str) -> Option<Fix> {
    let source = view.source();
    let route = place::step(view, step, Some("with"));
    let edit = if let Some(old) = step.input(name) {
        (!old.shared).then(|| Edit { span: old.span, text: value.to_owned() })?
    } else if let Some(with) = step.node.get("with").filter(|with| !with.entries().is_empty()) {
        add_entry(source, with, name, value)?
    } else {
        let (key, uses) = step.node.entry("uses")?;
        if step.node.flow || step.node.shared || step.node.get("with").is_some() {
            return None;
        }
        let depth = indent(source, key.span.start);
        let lines = [format!("{depth}with:"), format!("{depth}  {name}: {value}")];
        let change = Change::Set(place::step(view, step, None), "with".to_owned(), format!("{{{name}: {value}}}"));
        return Some(fix(view, title, true, vec![lines_after(source, uses.span.end, &lines)], vec![change]));
    };
    let change = Change::Set(route, name.to_owned(), value.to_owned());
    Some(fix(view, title, true, vec![edit], vec![change]))
}

/// Puts a key into a job, after another one.
pub fn insert_after(view: &View, after: &str, key: &str, value: &str, title: &str) -> Option<Fix> {
    let node = &view.job.node;
    let (name, old) = node.entry(after)?;
    if node.flow || node.shared {
        return None;
    }
    let source = view.source();
    let line = format!("{}{key}: {value}", indent(source, name.span.start));
    let edit = lines_after(source, old.span.end.max(name.span.end), &[line]);
    let change = Change::Set(place::job(view), key.to_owned(), value.to_owned());
    Some(fix(view, title, true, vec![edit], vec![change]))
}

/// Puts a key first into a job's strategy.
pub fn insert_in_strategy(view: &View, key: &str, value: &str, title: &str) -> Option<Fix> {
    let strategy = view.job.node.get("strategy")?;
    let (first, _) = strategy.entries().first()?;
    if strategy.shared {
        return None;
    }
    let at = first.span.start;
    let text = if strategy.flow {
        format!("{key}: {value}, ")
    } else {
        format!("{key}: {value}{}{}", view.source().ending(), indent(view.source(), at))
    };
    let mut route = place::job(view);
    route.push("strategy".into());
    let change = Change::Set(route, key.to_owned(), value.to_owned());
    Some(fix(view, title, true, vec![Edit { span: Span::new(at, at), text }], vec![change]))
}

/// Takes a key out of a job.
pub fn drop_key(view: &View, key: &str, title: &str) -> Option<Fix> {
    let node = &view.job.node;
    let (name, value) = node.entry(key)?;
    if node.flow || node.shared || value.shared {
        return None;
    }
    let lines = whole_lines(view.source(), Span::new(name.span.start, value.span.end.max(name.span.end)));
    let change = Change::Remove(place::job(view), key.to_owned());
    Some(fix(view, title, false, vec![Edit { span: lines, text: String::new() }], vec![change]))
}

/// Moves a step before another one, with the comments above it.
pub fn move_step(view: &View, from: usize, to: usize, title: &str) -> Option<Fix> {
    let steps = view.job.node.get("steps")?;
    let (moved, target) = (view.step(from)?, view.step(to)?);
    if steps.flow || steps.shared || moved.node.flow || moved.node.shared || from <= to {
        return None;
    }
    let source = view.source();
    let start = comments_above(source, moved.span.start);
    let lines = whole_lines(source, Span::new(start, moved.span.end));
    let mut gap = source.line_of(start);
    while gap > 0 && source.line(gap - 1).trim().is_empty() {
        gap -= 1;
    }
    let mut cut = Span::new(source.line_start(gap), lines.end);
    let mut text = source.slice(lines).to_owned();
    if !text.ends_with('\n') {
        text.push_str(source.ending());
        cut.start -= source.ending().len();
    }
    text.push_str(source.slice(Span::new(source.line_start(gap), start)));
    let at = comments_above(source, target.span.start);
    let mut route = place::job(view);
    route.push("steps".into());
    let edits = vec![Edit { span: Span::new(at, at), text }, Edit { span: cut, text: String::new() }];
    Some(fix(view, title, false, edits, vec![Change::Move(route, from, to)]))
}

/// Puts new lines as a step before another one, above that one's comments.
pub fn insert_step(view: &View, before: &Step, lines: &[String], value: &str, title: &str) -> Option<Fix> {
    let steps = view.job.node.get("steps")?;
    if steps.flow || steps.shared || before.node.flow {
        return None;
    }
    let source = view.source();
    let at = comments_above(source, before.span.start);
    let mut lines = lines.to_vec();
    let line = source.line_of(at);
    if before.index > 0 && line > 0 && source.line(line - 1).trim().is_empty() {
        lines.push(String::new());
    }
    let mut route = place::job(view);
    route.push("steps".into());
    let change = Change::Insert(route, before.index, value.to_owned());
    Some(fix(view, title, false, vec![place::lines_at(source, at, &lines)], vec![change]))
}

/// Puts new lines as the last step.
pub fn append_step(view: &View, lines: &[String], value: &str) -> Option<(Edit, Change)> {
    let steps = view.job.node.get("steps")?;
    let last = view.job.steps.last()?;
    if steps.flow || steps.shared || last.node.flow {
        return None;
    }
    let mut route = place::job(view);
    route.push("steps".into());
    let change = Change::Insert(route, last.index + 1, value.to_owned());
    Some((lines_after(view.source(), last.span.end, lines), change))
}

/// How deep the dashes of a job's steps stand.
pub fn dash_indent(view: &View) -> Option<String> {
    let first = view.job.steps.first()?;
    let source = view.source();
    let line = source.line(source.line_of(first.span.start));
    let before = line.len() - line.trim_start().len();
    line.trim_start().starts_with('-').then(|| " ".repeat(before))
}

/// Replaces the version of a `uses`.
pub fn bump(view: &View, step: &Step, version: &str) -> Option<Fix> {
    let uses = step.uses.as_ref()?;
    let (route, _) = uses.value.rsplit_once('@')?;
    replace_uses(view, step, &format!("{route}@{version}"), &format!("use {version}"))
}

/// Replaces a `uses`.
pub fn replace_uses(view: &View, step: &Step, text: &str, title: &str) -> Option<Fix> {
    let uses = step.uses.as_ref().filter(|uses| !uses.shared)?;
    let span = place_of_value(view, uses)?;
    let change = Change::Set(place::step(view, step, None), "uses".to_owned(), quoted(text));
    Some(fix(view, title, true, vec![Edit { span, text: text.to_owned() }], vec![change]))
}

/// The bytes of a one-line value without its quotes.
fn place_of_value(view: &View, text: &Text) -> Option<Span> {
    let inset = (text.span.end - text.span.start).checked_sub(text.value.len())? / 2;
    let span = Span::new(text.span.start + inset, text.span.end - inset);
    (view.source().slice(span) == text.value).then_some(span)
}

/// Lets a step run although something failed.
pub fn add_always(view: &View, step: &Step) -> Option<Fix> {
    let (key, value) = step.node.entries().first()?;
    if step.node.shared {
        return None;
    }
    let end = value.span.end.max(key.span.end);
    let edit = if step.node.flow {
        Edit { span: Span::new(end, end), text: ", if: always()".to_owned() }
    } else {
        lines_after(view.source(), end, &[format!("{}if: always()", indent(view.source(), key.span.start))])
    };
    let change = Change::Set(place::step(view, step, None), "if".to_owned(), "always()".to_owned());
    Some(fix(view, "upload although a session failed", true, vec![edit], vec![change]))
}

/// Adds a file to an upload's `path`.
pub fn add_path(view: &View, step: &Step, path: &Text, file: &str) -> Option<Fix> {
    let with: &Node = step.node.get("with")?;
    let (key, value) = with.entry("path")?;
    let Kind::Scalar(_, style) = &value.kind else { return None };
    if with.flow || path.shared || *style == Style::Folded {
        return None;
    }
    let source = view.source();
    let mut lines: Vec<String> = path.value.lines().map(str::to_owned).collect();
    lines.push(file.to_owned());
    let value = format!("{}\n", lines.join("\n"));
    let edit = if *style == Style::Literal {
        lines_after(source, path.span.end, &[format!("{}{file}", indent(source, path.span.start))])
    } else {
        let depth = format!("{}{}  ", source.ending(), indent(source, key.span.start));
        Edit { span: path.span, text: format!("|{depth}{}", lines.join(&depth)) }
    };
    let change = Change::Set(place::step(view, step, Some("with")), "path".to_owned(), quoted(&value));
    Some(fix(view, &format!("upload {file} too"), true, vec![edit], vec![change]))
}

/// Gives steps of one file a variable each.
pub fn set_variable(places: &[(View, &Step)], name: &str, value: &str, title: &str) -> Option<Fix> {
    let (view, _) = places.first()?;
    let mut edits = Vec::new();
    let mut changes = Vec::new();
    for (other, step) in places.iter().filter(|(other, _)| other.source() == view.source()) {
        let source = other.source();
        if let Some(env) = step.node.get("env").filter(|env| !env.entries().is_empty()) {
            edits.push(add_entry(source, env, name, value)?);
            changes.push(Change::Set(place::step(other, step, Some("env")), name.to_owned(), value.to_owned()));
            continue;
        }
        let (key, run) = step.node.entry("run")?;
        if step.node.flow || step.node.shared || step.node.get("env").is_some() {
            return None;
        }
        let depth = indent(source, key.span.start);
        edits.push(lines_after(source, run.span.end, &[format!("{depth}env:"), format!("{depth}  {name}: {value}")]));
        changes.push(Change::Set(place::step(other, step, None), "env".to_owned(), format!("{{{name}: {value}}}")));
    }
    Some(fix(view, title, false, edits, changes))
}
