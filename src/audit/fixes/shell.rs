//! Fixes inside `run:` scripts; none where a here-document could be meant.

use super::super::fix::{Change, Edit, Fix};
use super::super::shell::{Command, Joiner, Selection, Word};
use super::super::span::Span;
use super::super::survey::{Call, View};
use super::super::workflow::{Script, Step};
use super::place::{self, fix, indent, quoted};
use super::tested::tested;

/// A step's script where its words may be edited by bytes.
fn script(step: &Step) -> Option<&Script> {
    let plain = !step.commands.iter().any(|command| command.heredoc) && !step.node.flow;
    step.script.as_ref().filter(|script| script.exact && !script.shared && plain)
}

/// Replaces a range of a script.
fn splice(view: &View, step: &Step, range: Span, text: &str, title: &str, safe: bool) -> Option<Fix> {
    script(step)?;
    let fix = replace(view, step, range, text, title)?;
    Some(Fix { safe, ..fix })
}

/// Replaces a whole script, line by line; one written on the line of its key becomes a block.
pub(super) fn rewrite(view: &View, step: &Step, new: &str) -> Option<(Edit, Change)> {
    let script = script(step)?;
    let (key, _) = step.node.entry("run")?;
    let source = view.source();
    let block = source.line_of(script.span.start) > source.line_of(key.span.end);
    let depth = if block { indent(source, script.span.start) } else { format!("{}  ", indent(source, key.span.start)) };
    let lines: Vec<String> =
        new.lines().map(|line| if line.is_empty() { String::new() } else { format!("{depth}{line}") }).collect();
    let text = lines.join(source.ending());
    let (text, new) = if block {
        let kept =
            if script.text.ends_with('\n') { format!("{}\n", new.trim_end()) } else { new.trim_end().to_owned() };
        (text.trim_start().to_owned(), kept)
    } else {
        (format!("|{}{text}", source.ending()), format!("{}\n", new.trim_end()))
    };
    let edit = Edit { span: script.span, text };
    Some((edit, Change::Set(place::step(view, step, None), "run".to_owned(), quoted(&new))))
}

/// Puts a word into a command.
pub fn insert_word(view: &View, step: &Step, at: usize, text: &str, title: &str) -> Option<Fix> {
    splice(view, step, Span::new(at, at), text, title, true)
}

/// Replaces a number, in a here-document too: its bytes are known, and no word of the shell changes.
pub fn replace(view: &View, step: &Step, range: Span, text: &str, title: &str) -> Option<Fix> {
    let script = step.script.as_ref().filter(|script| script.exact && !script.shared)?;
    let mut new = script.text.clone();
    new.get(range.start..range.end)?;
    new.replace_range(range.start..range.end, text);
    let edit = Edit { span: script.place(range), text: text.to_owned() };
    let change = Change::Set(place::step(view, step, None), "run".to_owned(), quoted(&new));
    Some(fix(view, title, false, vec![edit], vec![change]))
}

/// Pins a tool to the version that the lock, nox itself or another job says.
pub fn pin(view: &View, step: &Step, word: &Word, tool: &str) -> Option<Fix> {
    let elsewhere = || {
        let words = view
            .project
            .jobs()
            .flat_map(|view| view.survey.installs.iter().flat_map(|installed| &installed.install.packages));
        let prefix = format!("{tool}==");
        words
            .filter_map(|word| word.text.strip_prefix(&prefix))
            .find(|version| !version.contains('$'))
            .map(str::to_owned)
    };
    let running = || view.project.noxfile.as_ref().and_then(|noxfile| noxfile.nox.clone()).filter(|_| tool == "nox");
    let tested = || tested(tool).map(str::to_owned);
    let version = view.project.files.versions.get(tool).cloned().or_else(running).or_else(elsewhere).or_else(tested)?;
    let bare = word.text == tool && word.span.end - word.span.start == tool.len();
    bare.then_some(())?;
    splice(
        view,
        step,
        Span::new(word.span.end, word.span.end),
        &format!("=={version}"),
        &format!("pin {tool} to {version}"),
        false,
    )
}

/// Makes a script fail when a command of a pipe fails.
pub fn pipefail(view: &View, step: &Step) -> Option<Fix> {
    let text = &step.script.as_ref()?.text;
    let (edit, change) = rewrite(view, step, &format!("set -o pipefail\n{text}"))?;
    Some(fix(view, "let the step fail with its session", false, vec![edit], vec![change]))
}

/// Runs the sessions of one command, or of one loop, in one `noxide run`.
pub fn noxide_run(view: &View) -> Option<Fix> {
    let [call] = view.survey.calls.as_slice() else { return None };
    let step = view.step(call.step)?;
    let command = step.commands.get(call.command)?;
    let (Selection::Names(_) | Selection::Default, true) = (&call.nox.selection, call.nox.posargs.is_empty()) else {
        return None;
    };
    let title = "run the sessions side by side";
    if call.nox.started_by.is_some() || !command.assigns.is_empty() || command.program() != "nox" {
        return None;
    }
    if command.around.is_none() {
        return splice(view, step, command.words.first()?.span, "noxide run", title, false);
    }
    let text = &step.script.as_ref()?.text;
    let whole = whole_loop(step, command)?;
    let names: Vec<&str> = call.sessions.iter().map(|(name, _)| name.as_str()).collect();
    let new = format!("{}noxide run -s {}{}", text.get(..whole.start)?, names.join(" "), text.get(whole.end..)?);
    let (edit, change) = rewrite(view, step, &new)?;
    Some(fix(view, title, false, vec![edit], vec![change]))
}

/// The bytes of the loop around a command, from `for` to `done`, where it holds nothing else and has three lines.
pub(super) fn whole_loop(step: &Step, command: &Command) -> Option<Span> {
    let around = command.around.as_ref()?;
    let text = &step.script.as_ref()?.text;
    let rest = text.get(command.span.end..)?;
    let done = command.span.end + rest.find("done")? + "done".len();
    let lines = text.get(around.head.start..done)?.lines().count();
    let inside = step.commands.iter().filter(|other| other.around == command.around).count();
    (lines == 3 && inside == 1).then_some(Span::new(around.head.start, done))
}

/// Leaves a session out: its whole line, or its name in a list.
pub fn drop_session(view: &View, call: &Call, name: &str, place: Span) -> Option<Fix> {
    let step = view.step(call.step)?;
    let command = step.commands.get(call.command)?;
    let title = format!("leave `{name}` out: another session does the same");
    let text = &script(step)?.text;
    let words: Vec<&Word> = match &command.around {
        Some(around) => around.values.iter().collect(),
        None => command.words.iter().collect(),
    };
    let word = words.into_iter().find(|word| word.text == name && step.place(word.span) == place)?;
    if call.sessions.len() > 1 {
        let before = text.get(..word.span.start)?;
        let start = before.trim_end_matches([' ', '\t']).len();
        return splice(view, step, Span::new(start, word.span.end), "", &title, false);
    }
    let line = whole_line(text, command.span);
    let alone =
        step.commands.iter().filter(|other| line.holds(other.span)).all(|other| other == command || piped(other));
    let new = format!("{}{}", text.get(..line.start)?, text.get(line.end..)?);
    if !alone || new.trim().is_empty() {
        return None;
    }
    let (edit, change) = rewrite(view, step, &new)?;
    Some(fix(view, &title, false, vec![edit], vec![change]))
}

/// Names a session after the others of its call.
pub fn name_last(view: &View, call: &Call, name: &str) -> Option<Fix> {
    let step = view.step(call.step)?;
    let command = step.commands.get(call.command).filter(|command| command.around.is_none())?;
    let Selection::Names(names) = &call.nox.selection else { return None };
    let (at, last) = (names.iter().position(|word| word.text == name)?, names.last()?);
    let first = names.get(at)?;
    // One list, each name as it is written.
    let between =
        command.words.iter().filter(|word| first.span.start <= word.span.start && word.span.start <= last.span.start);
    let words: Vec<&str> = between.map(|word| word.text.as_str()).collect();
    let text = script(step)?.text.get(first.span.start..last.span.end)?;
    (text == words.join(" ") && words.len() == names.len() - at).then_some(())?;
    let moved = words.iter().skip(1).copied().chain([name]).collect::<Vec<_>>().join(" ");
    let range = Span::new(first.span.start, last.span.end);
    splice(view, step, range, &moved, &format!("run `{name}` after the tests that it judges"), false)
}

fn piped(command: &Command) -> bool {
    command.joiner == Joiner::Pipe
}

/// The range of the line of a range, with its end.
pub(super) fn whole_line(text: &str, span: Span) -> Span {
    let start = text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let end = text.get(span.end..).and_then(|after| after.find('\n')).map_or(text.len(), |at| span.end + at + 1);
    Span::new(start, end)
}
