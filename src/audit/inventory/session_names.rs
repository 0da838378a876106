//! Names of the sessions that a call of nox runs, where the files show them.

use super::super::expanded_script::input_values;
use super::super::noxfile::Noxfile;
use super::super::project::{JobNoxCall, JobView};
use super::super::session_variable::SessionVariable;
use super::super::shell::NoxCallSelection;
use super::super::source::Span;
use super::super::workflow::{WorkflowFileKind, WorkflowStep};

/// Limit of the values that one name is expanded to.
const MAX_EXPANDED_NAMES: usize = 500;

/// Returns the sessions of a call, each with its span; `None` if the files do not show all of them.
pub(super) fn known_sessions(view: &JobView, call: &JobNoxCall) -> Option<Vec<(String, Span)>> {
    let step = view.step(call.step_index)?;
    let noxfile = view.project.noxfile.as_ref().filter(|_| call.parsed.noxfile.is_none());
    let at_call = |names: Vec<String>| names.into_iter().map(|name| (name, call.span)).collect();
    match &call.parsed.selection {
        NoxCallSelection::Names(words) => {
            let mut sessions = Vec::new();
            for word in words {
                let span = step.file_span(word.span);
                sessions.extend(expand_text(view, step, &word.text)?.into_iter().map(|name| (name, span)));
            }
            Some(sessions).filter(|sessions| !sessions.is_empty())
        }
        NoxCallSelection::Tags(tags) => {
            let is_literal = tags.iter().all(|tag| !tag.contains('$'));
            let tagged: Vec<String> = noxfile?
                .sessions()
                .iter()
                .filter(|session| session.tags.iter().any(|tag| tags.contains(tag)))
                .map(|session| session.name.clone())
                .collect();
            (is_literal && !tagged.is_empty()).then(|| at_call(tagged))
        }
        // A keyword expression also selects by the text of tags and parameters.
        NoxCallSelection::Keywords(_) => None,
        NoxCallSelection::Default => {
            let command = step.commands.get(call.command_index)?;
            let before = step.commands.get(..call.command_index).unwrap_or_default();
            match SessionVariable::find(view.workflow, view.job, step, before, command) {
                SessionVariable::Value(value) => {
                    let mut names = Vec::new();
                    for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                        names.extend(expand_text(view, step, name)?);
                    }
                    return Some(at_call(names));
                }
                SessionVariable::Unknown => return None,
                SessionVariable::Unset => {}
            }
            let noxfile = noxfile.filter(|noxfile| noxfile.has_known_defaults())?;
            Some(at_call(noxfile.default_sessions().into_iter().map(|session| session.name.clone()).collect()))
        }
        NoxCallSelection::Nothing => Some(Vec::new()),
    }
}

/// Replaces variables and values of the matrix in a text; `None` if one of them is not written out.
fn expand_text(view: &JobView, step: &WorkflowStep, text: &str) -> Option<Vec<String>> {
    let mut done: Vec<String> = Vec::new();
    let mut pending = vec![(text.to_owned(), 0)];
    while let Some((text, depth)) = pending.pop() {
        let Some(start) = text.find('$') else {
            done.push(text);
            if done.len() > MAX_EXPANDED_NAMES {
                return None;
            }
            continue;
        };
        let rest = text.get(start..)?;
        let (length, values) = first_variable(view, step, rest)?;
        if depth >= 4 {
            return None;
        }
        for value in values {
            let replaced = format!("{}{value}{}", text.get(..start)?, text.get(start + length..)?);
            pending.push((replaced, depth + 1));
        }
    }
    // The stack returns the last value first.
    done.reverse();
    done.iter().all(|name| !name.contains(['*', '`'])).then_some(done)
}

/// Returns the length of the variable at the start of a text, and its values.
fn first_variable(view: &JobView, step: &WorkflowStep, text: &str) -> Option<(usize, Vec<String>)> {
    let variable = |name: &str| {
        let value = view.workflow.resolve_variable(view.job, Some(step), name)?;
        Some(vec![value.value.clone()])
    };
    if let Some(inside) = text.strip_prefix("${{") {
        let end = inside.find("}}")?;
        let name = inside.get(..end)?.trim();
        let values = match name.split_once('.')? {
            ("matrix", axis) => matrix_values(view, axis)?,
            ("env", name) => variable(name)?,
            ("inputs", name) if view.workflow.kind == WorkflowFileKind::CompositeAction => {
                // With several values, each job that uses the action runs other sessions.
                let values = input_values(&view.project.workflows, view.workflow, name)?;
                Some(values).filter(|values| values.len() == 1)?
            }
            _ => return None,
        };
        return Some((end + 5, values));
    }
    if let Some(inside) = text.strip_prefix("${") {
        let end = inside.find('}')?;
        return Some((end + 3, variable(inside.get(..end)?)?));
    }
    let name: String = text.chars().skip(1).take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    Some((name.len() + 1, variable(&name)?))
}

/// Returns the values of an axis of the matrix; `None` if an expression computes it or the matrix.
fn matrix_values(view: &JobView, axis: &str) -> Option<Vec<String>> {
    let written = view.job.node.get("strategy")?.get("matrix")?;
    let is_literal = !written.entries().is_empty()
        && written.get(axis).is_none_or(|values| {
            !values.items().is_empty() && values.items().iter().all(|item| item.as_str().is_some())
        })
        && written.get("include").is_none_or(|include| include.as_str().is_none());
    let values = view.job.matrix.as_ref()?.axis_values(axis);
    (is_literal && !values.is_empty()).then(|| values.to_vec())
}

/// Returns the sessions that run because another one runs: those that it requires or notifies.
pub(super) fn followed_sessions(noxfile: &Noxfile, started: &mut Vec<String>) {
    let mut index = 0;
    while let Some(name) = started.get(index).cloned() {
        index += 1;
        let Some(session) = noxfile.find_session(&name) else { continue };
        let notified = session.calls.iter().filter(|call| call.method == "notify");
        let notified = notified.filter_map(|call| call.args.first());
        for other in session.requires.iter().chain(notified) {
            if let Some(other) = noxfile.find_session(other).filter(|other| !started.contains(&other.name)) {
                started.push(other.name.clone());
            }
        }
    }
}

/// Whether a session notifies or requires sessions whose names the noxfile computes.
pub(super) fn follows_computed_names(noxfile: &Noxfile) -> bool {
    let is_computed = |name: &String| name.starts_with(['<', '*']) || name.contains('{');
    noxfile.sessions().iter().any(|session| {
        let notified = session.calls.iter().filter(|call| call.method == "notify");
        session.requires.iter().chain(notified.filter_map(|call| call.args.first())).any(is_computed)
    })
}
