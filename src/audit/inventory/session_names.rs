//! Names of the sessions that a call of nox runs, where the files show them.

use super::super::expanded_script::input_values;
use super::super::job_cache::workspace_path;
use super::super::noxfile::Noxfile;
use super::super::project::{JobNoxCall, JobView};
use super::super::session_variable::SessionVariable;
use super::super::shell::NoxCallSelection;
use super::super::source::Span;
use super::super::workflow::{MatrixCombination, WorkflowFileKind, WorkflowStep};

/// Limit of the values that one name is expanded to.
const MAX_EXPANDED_NAMES: usize = 500;

/// Returns the sessions of a call, each with its span; `None` if the files do not show all of them.
pub(super) fn known_sessions(view: &JobView, call: &JobNoxCall) -> Option<Vec<(String, Span)>> {
    let step = view.step(call.step_index)?;
    if runs_in_other_directory(view, step, call) {
        return None;
    }
    let noxfile = view.project.noxfile.as_ref().filter(|_| call.parsed.noxfile.is_none());
    let at_call = |names: Vec<String>| names.into_iter().map(|name| (name, call.span)).collect();
    match &call.parsed.selection {
        NoxCallSelection::Names(words) => {
            let words = words.iter().map(|word| (word.text.clone(), step.file_span(word.span)));
            let words: Vec<(String, Span)> = words.collect();
            sessions_of_entries(view, step, call, noxfile, &|_| words.clone()).filter(|sessions| !sessions.is_empty())
        }
        NoxCallSelection::Tags(_) if call.parsed.selects_interpreters => None,
        NoxCallSelection::Tags(_) if noxfile?.may_define_other_sessions() => None,
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
        NoxCallSelection::Keywords(_) | NoxCallSelection::Unknown => None,
        // The matrix lists the sessions of each of its jobs; a job without a value runs the default ones.
        NoxCallSelection::Default if call.alternative.is_some() => {
            let variable = view.workflow.resolve_variable(view.job, Some(step), "NOXSESSION")?;
            let axis = variable.value.trim().strip_prefix("${{")?.strip_suffix("}}")?.trim().strip_prefix("matrix.")?;
            let entries = view.job.matrix.as_ref()?.entries.as_ref()?;
            let has_value = |entry: &MatrixCombination| {
                entry.iter().any(|(path, text)| path == axis && !text.value.trim().is_empty())
            };
            let is_literal = |(name, _): &(String, Span)| !name.contains(['$', '`', '*']);
            let is_known = entries.iter().all(has_value) && call.sessions.iter().all(is_literal);
            let listed = |entry: Option<&MatrixCombination>| {
                let value = entry.and_then(|entry| entry.iter().find(|(path, _)| path == axis));
                let names: Vec<&str> =
                    value.iter().flat_map(|(_, text)| text.value.split(',')).map(str::trim).collect();
                // Other values of the axis are other calls.
                call.sessions.iter().filter(|(name, _)| names.contains(&name.as_str())).cloned().collect()
            };
            is_known.then(|| sessions_of_entries(view, step, call, noxfile, &listed))?
        }
        NoxCallSelection::Default => {
            let command = step.commands.get(call.command_index)?;
            let before = step.commands.get(..call.command_index).unwrap_or_default();
            match SessionVariable::find(view.workflow, view.job, step, before, command) {
                SessionVariable::Value(value) => {
                    let names = |entry: Option<&MatrixCombination>| {
                        let filled = fill_matrix_values(&value, entry);
                        let names = filled.split(',').map(str::trim).filter(|name| !name.is_empty());
                        names.map(|name| (name.to_owned(), call.span)).collect()
                    };
                    return sessions_of_entries(view, step, call, noxfile, &names);
                }
                SessionVariable::Unknown => return None,
                // Which sessions have an interpreter of `-p` is not followed.
                SessionVariable::Unset if call.parsed.selects_interpreters => return None,
                SessionVariable::Unset => {}
            }
            let noxfile = noxfile.filter(|noxfile| noxfile.has_known_defaults())?;
            Some(at_call(noxfile.default_sessions().into_iter().map(|session| session.name.clone()).collect()))
        }
        NoxCallSelection::Nothing => Some(Vec::new()),
    }
}

/// Returns the names that a job of the matrix selects, each with its span.
type SelectNames<'a> = dyn Fn(Option<&MatrixCombination>) -> Vec<(String, Span)> + 'a;

/// Returns the sessions of a call in each job of the matrix, each once; `names` returns those that an entry selects. `None` if
/// the files do not show all of them.
fn sessions_of_entries(
    view: &JobView,
    step: &WorkflowStep,
    call: &JobNoxCall,
    noxfile: Option<&Noxfile>,
    names: &SelectNames<'_>,
) -> Option<Vec<(String, Span)>> {
    let interpreters = interpreter_words(step, call);
    let entries = view.job.matrix.as_ref().and_then(|matrix| matrix.entries.as_ref());
    let condition = step.condition.as_ref().map_or("", |text| text.value.as_str());
    let possible: Vec<Option<&MatrixCombination>> = match entries {
        Some(entries) => entries.iter().filter(|entry| may_run(condition, entry)).map(Some).collect(),
        None => vec![None],
    };
    let mut sessions: Vec<(String, Span)> = Vec::new();
    for entry in possible {
        let expand = |text: &str| expand_text(view, step, &fill_matrix_values(text, entry));
        let selected: Option<Vec<Vec<String>>> = interpreters.iter().map(|word| expand(word)).collect();
        let selected = selected.unwrap_or_default().concat();
        for (text, span) in names(entry) {
            for name in expand(&text)? {
                let names = with_interpreters(noxfile, name, &selected);
                let new: Vec<String> =
                    names.into_iter().filter(|name| !sessions.iter().any(|(known, _)| known == name)).collect();
                sessions.extend(new.into_iter().map(|name| (name, span)));
            }
        }
        if sessions.len() > MAX_EXPANDED_NAMES {
            return None;
        }
    }
    Some(sessions)
}

/// Replaces the values of a job of the matrix in a text.
fn fill_matrix_values(text: &str, entry: Option<&MatrixCombination>) -> String {
    let mut filled = text.to_owned();
    for (path, value) in entry.into_iter().flatten() {
        filled = filled.replace(&format!("${{{{ matrix.{path} }}}}"), &value.value);
    }
    filled
}

/// Returns the words with which a call selects interpreters (`-p`).
fn interpreter_words<'a>(step: &'a WorkflowStep, call: &JobNoxCall) -> Vec<&'a str> {
    let words = step.commands.get(call.command_index).map_or(&[][..], |command| command.words.as_slice());
    let mut words = words.iter().map(|word| word.text.as_str()).skip_while(|word| !word.ends_with("nox")).peekable();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        match word.split_once('=') {
            Some(("--python" | "--pythons", value)) => found.push(value),
            None if word == "--" => break,
            None if matches!(word, "-p" | "--python" | "--pythons") => {
                while let Some(value) = words.next_if(|value| !value.starts_with('-')) {
                    found.push(value);
                }
            }
            _ => {}
        }
    }
    found
}

/// Returns the names of a session with some of its interpreters, or its name if all of them are selected or any are unknown.
fn with_interpreters(noxfile: Option<&Noxfile>, name: String, selected: &[String]) -> Vec<String> {
    let session = noxfile.and_then(|noxfile| noxfile.sessions().iter().find(|session| session.name == name));
    let all = session.map_or(&[][..], |session| session.interpreters.as_slice());
    let chosen: Vec<&String> = all.iter().filter(|version| selected.contains(version)).collect();
    if all.len() < 2 || chosen.is_empty() || chosen.len() == all.len() {
        return vec![name];
    }
    chosen.into_iter().map(|version| format!("{name}-{version}")).collect()
}

/// Whether a call may run in another directory than the project's, which may have a noxfile of its own.
fn runs_in_other_directory(view: &JobView, step: &WorkflowStep, call: &JobNoxCall) -> bool {
    let default = [&view.job.node, &view.workflow.root]
        .into_iter()
        .find_map(|node| node.get("defaults")?.get("run")?.get("working-directory")?.as_str());
    let directory = step.node.get("working-directory").and_then(|node| node.as_str()).or(default);
    let is_root = |directory: &str| matches!(workspace_path(directory), "" | "." | "${{ github.workspace }}");
    let before = step.commands.iter().take_while(|command| step.file_span(command.span).start < call.span.start);
    let changes = before.filter(|command| matches!(command.program_name(), "cd" | "pushd" | "Set-Location"));
    !directory.is_none_or(is_root) || changes.count() > 0
}

/// Replaces variables and values of the matrix in a text; `None` if one of them is not written out.
fn expand_text(view: &JobView, step: &WorkflowStep, text: &str) -> Option<Vec<String>> {
    let mut done: Vec<String> = Vec::new();
    let mut pending: Vec<(String, usize)> = match matrix_texts(view, step, text) {
        Some(texts) => texts.into_iter().map(|text| (text, 0)).collect(),
        // The values of two axes may not belong to the same job.
        None if text.matches("matrix.").count() > 1 => return None,
        None => vec![(text.to_owned(), 0)],
    };
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

/// Returns a text with the values of each job of the matrix, each text once; `None` if the jobs are not known or have no
/// such value.
fn matrix_texts(view: &JobView, step: &WorkflowStep, text: &str) -> Option<Vec<String>> {
    let entries = view.job.matrix.as_ref()?.entries.as_ref().filter(|_| text.contains("matrix."))?;
    let mut texts: Vec<String> = Vec::new();
    let condition = step.condition.as_ref().map_or("", |text| text.value.as_str());
    for entry in entries.iter().filter(|entry| may_run(condition, entry)) {
        let mut replaced = text.to_owned();
        for (path, value) in entry {
            replaced = replaced.replace(&format!("${{{{ matrix.{path} }}}}"), &value.value);
        }
        if replaced.contains("matrix.") {
            return None;
        }
        if !texts.contains(&replaced) {
            texts.push(replaced);
        }
    }
    (!texts.is_empty()).then_some(texts)
}

/// Whether a step with a condition may run in a job of the matrix: no comparison of a value of the matrix rules it out.
fn may_run(condition: &str, entry: &MatrixCombination) -> bool {
    let condition = condition.trim().trim_start_matches("${{").trim_end_matches("}}");
    let is_possible = |term: &str| {
        let (path, value, is_equal) = match (term.split_once("=="), term.split_once("!=")) {
            (Some((path, value)), None) => (path, value, true),
            (None, Some((path, value))) => (path, value, false),
            _ => return true,
        };
        let value = value.trim();
        let literal = value.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
        let known = path.trim().strip_prefix("matrix.").and_then(|path| entry.iter().find(|(name, _)| name == path));
        let Some((_, text)) = known else { return true };
        let found = match (literal, value.parse::<f64>()) {
            (Some(literal), _) => text.value.eq_ignore_ascii_case(literal),
            (None, Ok(number)) => text.value.parse() == Ok(number),
            _ => return true,
        };
        found == is_equal
    };
    condition.contains(['|', '(']) || condition.split("&&").all(is_possible)
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
