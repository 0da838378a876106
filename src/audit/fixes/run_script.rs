//! Fixes of `run:` scripts; shell words are not edited in scripts with here-documents.

use super::super::fix::{Fix, SemanticChange, TextEdit};
use super::super::project::{JobNoxCall, JobView};
use super::super::shell::{ControlOperator, NoxCallSelection, ShellCommand, ShellWord};
use super::super::source::Span;
use super::super::workflow::{StepScript, WorkflowStep};
use super::text_edit::{self, indent_at, mark_display_only, quote_scalar, unsafe_fix};

/// Returns the script of a step, if its words can be edited in place.
fn editable_script(step: &WorkflowStep) -> Option<&StepScript> {
    let plain = !step.commands.iter().any(|command| command.has_heredoc) && !step.node.is_flow;
    step.script.as_ref().filter(|script| script.is_editable_in_place && !script.aliased && plain)
}

/// Replaces a span of a script without here-documents.
fn splice_script(view: &JobView, step: &WorkflowStep, range: Span, text: &str, title: &str) -> Option<Fix> {
    editable_script(step)?;
    replace_script_range(view, step, range, text, title)
}

/// Replaces a whole script; a one-line script becomes a block.
pub(super) fn rewrite_script(view: &JobView, step: &WorkflowStep, new: &str) -> Option<(TextEdit, SemanticChange)> {
    let script = editable_script(step)?;
    let (key, _) = step.node.get_entry("run")?;
    let source = view.source();
    let block = source.line_index(script.span.start) > source.line_index(key.span.end);
    let indent =
        if block { indent_at(source, script.span.start) } else { format!("{}  ", indent_at(source, key.span.start)) };
    let lines: Vec<String> =
        new.lines().map(|line| if line.is_empty() { String::new() } else { format!("{indent}{line}") }).collect();
    let text = lines.join(source.line_ending());
    let (text, new) = if block {
        let new_text =
            if script.text.ends_with('\n') { format!("{}\n", new.trim_end()) } else { new.trim_end().to_owned() };
        (text.trim_start().to_owned(), new_text)
    } else {
        (format!("|{}{text}", source.line_ending()), format!("{}\n", new.trim_end()))
    };
    let edit = TextEdit { span: script.span, text };
    Some((edit, SemanticChange::Set(text_edit::step_path(view, step, None), "run".to_owned(), quote_scalar(&new))))
}

/// Inserts a word into a command.
pub(crate) fn insert_script_word(
    view: &JobView,
    step: &WorkflowStep,
    at: usize,
    text: &str,
    title: &str,
) -> Option<Fix> {
    splice_script(view, step, Span::new(at, at), text, title)
}

/// Replaces a range of a script, even within a here-document: for a text such as a number, whose replacement does not
/// change how the shell splits words.
pub(crate) fn replace_script_range(
    view: &JobView,
    step: &WorkflowStep,
    range: Span,
    text: &str,
    title: &str,
) -> Option<Fix> {
    let script = step.script.as_ref().filter(|script| script.is_editable_in_place && !script.aliased)?;
    let mut new = script.text.clone();
    new.get(range.start..range.end)?;
    new.replace_range(range.start..range.end, text);
    let edit = TextEdit { span: script.file_span(range), text: text.to_owned() };
    let change = SemanticChange::Set(text_edit::step_path(view, step, None), "run".to_owned(), quote_scalar(&new));
    Some(unsafe_fix(view, title, vec![edit], vec![change]))
}

/// Pins a tool to a version that fits the job's Python: the one in the lock file, or of uv, which runs without Python,
/// the one that another job pins.
pub(crate) fn pin_tool_version(view: &JobView, step: &WorkflowStep, word: &ShellWord, tool: &str) -> Option<Fix> {
    let pinned_in_other_job = || {
        let words = view
            .project
            .job_views()
            .flat_map(|view| view.analysis.installs.iter().flat_map(|job_install| &job_install.install.packages));
        let prefix = format!("{tool}==");
        words
            .filter_map(|word| word.text.strip_prefix(&prefix))
            .find(|version| !version.contains('$'))
            .map(str::to_owned)
    };
    let locked = view.project.files.locked_versions.get(tool).cloned();
    let version = locked.or_else(|| if tool == "uv" { pinned_in_other_job() } else { None })?;
    let is_bare_name = word.text == tool && word.span.end - word.span.start == tool.len();
    is_bare_name.then_some(())?;
    splice_script(
        view,
        step,
        Span::new(word.span.end, word.span.end),
        &format!("=={version}"),
        &format!("pin {tool} to {version}"),
    )
}

/// Adds `set -o pipefail`, so that the script fails when a command of a pipe fails.
pub(crate) fn add_pipefail(view: &JobView, step: &WorkflowStep) -> Option<Fix> {
    has_bash(view, step).then_some(())?;
    let text = &step.script.as_ref()?.text;
    let (edit, change) = rewrite_script(view, step, &format!("set -o pipefail\n{text}"))?;
    Some(unsafe_fix(view, "fail the step when its session fails", vec![edit], vec![change]))
}

/// Whether bash runs the script of a step: its shell is not another one, and its image has bash.
pub(super) fn has_bash(view: &JobView, step: &WorkflowStep) -> bool {
    let shell = step.node.get("shell").and_then(|node| node.as_str()).or_else(|| view.default_shell());
    let image = view.job.container.as_ref().map_or("", |text| text.value.as_str());
    shell.is_none_or(|shell| shell.starts_with("bash"))
        && !(shell.is_none() && view.may_run_on_windows())
        && !["alpine", "busybox"].iter().any(|name| image.contains(name))
}

/// Replaces a nox command, or a loop around it, by one `noxide run`.
pub(crate) fn use_noxide_run(view: &JobView) -> Option<Fix> {
    let [call] = view.analysis.nox_calls.as_slice() else { return None };
    let step = view.step(call.step_index)?;
    let command = step.commands.get(call.command_index)?;
    let (NoxCallSelection::Names(_) | NoxCallSelection::Default, true) =
        (&call.parsed.selection, call.parsed.posargs.is_empty())
    else {
        return None;
    };
    let title = "run the sessions in parallel";
    if call.parsed.launcher.is_some() || !command.assignments.is_empty() || command.program_name() != "nox" {
        return None;
    }
    if command.enclosing_loop.is_none() {
        return splice_script(view, step, command.words.first()?.span, "noxide run", title);
    }
    let text = &step.script.as_ref()?.text;
    let loop_span = enclosing_loop_span(step, command)?;
    let names: Vec<&str> = call.sessions.iter().map(|(name, _)| name.as_str()).collect();
    let new =
        format!("{}noxide run -s {}{}", text.get(..loop_span.start)?, names.join(" "), text.get(loop_span.end..)?);
    let (edit, change) = rewrite_script(view, step, &new)?;
    Some(unsafe_fix(view, title, vec![edit], vec![change]))
}

/// Returns the span of the loop around a command, from `for` to `done`, if it has three lines and no other command.
pub(super) fn enclosing_loop_span(step: &WorkflowStep, command: &ShellCommand) -> Option<Span> {
    let for_loop = command.enclosing_loop.as_ref()?;
    let text = &step.script.as_ref()?.text;
    let rest = text.get(command.span.end..)?;
    let done = command.span.end + rest.find("done")? + "done".len();
    let lines = text.get(for_loop.header_span.start..done)?.lines().count();
    let inside = step.commands.iter().filter(|other| other.enclosing_loop == command.enclosing_loop).count();
    (lines == 3 && inside == 1).then_some(Span::new(for_loop.header_span.start, done))
}

/// Removes a session: its line, or its name in a list. A patch to review: no fix removes a session.
pub(crate) fn remove_session(view: &JobView, call: &JobNoxCall, name: &str, span: Span) -> Option<Fix> {
    let step = view.step(call.step_index)?;
    let command = step.commands.get(call.command_index)?;
    let title = format!("remove `{name}`: another session runs the same commands");
    let text = &editable_script(step)?.text;
    let words: Vec<&ShellWord> = match &command.enclosing_loop {
        Some(for_loop) => for_loop.values.iter().collect(),
        None => command.words.iter().collect(),
    };
    let word = words.into_iter().find(|word| word.text == name && step.file_span(word.span) == span)?;
    if call.sessions.len() > 1 {
        let before = text.get(..word.span.start)?;
        let start = before.trim_end_matches([' ', '\t']).len();
        return splice_script(view, step, Span::new(start, word.span.end), "", &title).map(mark_display_only);
    }
    let line = expand_to_script_lines(text, command.span);
    let is_only_command =
        step.commands.iter().filter(|other| line.contains(other.span)).all(|other| other == command || is_piped(other));
    let new = format!("{}{}", text.get(..line.start)?, text.get(line.end..)?);
    if !is_only_command || new.trim().is_empty() {
        return None;
    }
    let (edit, change) = rewrite_script(view, step, &new)?;
    Some(mark_display_only(unsafe_fix(view, &title, vec![edit], vec![change])))
}

/// Moves a session to the end of its call.
pub(crate) fn move_session_last(view: &JobView, call: &JobNoxCall, name: &str) -> Option<Fix> {
    let step = view.step(call.step_index)?;
    let command = step.commands.get(call.command_index).filter(|command| command.enclosing_loop.is_none())?;
    let NoxCallSelection::Names(names) = &call.parsed.selection else { return None };
    let (at, last) = (names.iter().position(|word| word.text == name)?, names.last()?);
    let first = names.get(at)?;
    // One list, each name as it is written.
    let between =
        command.words.iter().filter(|word| first.span.start <= word.span.start && word.span.start <= last.span.start);
    let words: Vec<&str> = between.map(|word| word.text.as_str()).collect();
    let text = editable_script(step)?.text.get(first.span.start..last.span.end)?;
    (text == words.join(" ") && words.len() == names.len() - at).then_some(())?;
    let moved = words.iter().skip(1).copied().chain([name]).collect::<Vec<_>>().join(" ");
    let range = Span::new(first.span.start, last.span.end);
    splice_script(view, step, range, &moved, &format!("run `{name}` after the tests that it reports on"))
}

fn is_piped(command: &ShellCommand) -> bool {
    command.preceding_operator == ControlOperator::Pipe
}

/// Expands a span of a script to whole lines, including the last line ending.
pub(super) fn expand_to_script_lines(text: &str, span: Span) -> Span {
    let start = text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let end = text.get(span.end..).and_then(|after| after.find('\n')).map_or(text.len(), |at| span.end + at + 1);
    Span::new(start, end)
}
