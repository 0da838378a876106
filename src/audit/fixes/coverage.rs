//! Tests that ran twice run once: measured where they run, judged where coverage is judged.

use super::super::fix::{Change, Edit, Fix};
use super::super::noxfile::{Noxfile, SessionFacts, Statement};
use super::super::span::Span;
use super::place::whole_lines;

/// Lets the tests' own session measure, and the coverage session only judge, after it. Edits the noxfile.
///
/// `module` is what both start: the test runner. None where more than the two runs differs.
pub fn measure_once(noxfile: &Noxfile, plain: &SessionFacts, again: &SessionFacts, module: &str) -> Option<Fix> {
    let fits = plain.parameter == again.parameter && !plain.many && !again.many && again.requires.is_empty();
    if !fits || plain.requires.contains(&again.name) {
        return None;
    }
    let starts = |statement: &Statement, coverage: bool| {
        let words: Vec<&str> = statement.args.iter().map(|(text, _)| text.as_str()).collect();
        let measures = words.iter().any(|word| matches!(*word, "slipcover" | "coverage"));
        statement.kind == "run" && measures == coverage && words.contains(&module)
    };
    let test = plain.statements.iter().position(|statement| starts(statement, false))?;
    let measured = again.statements.iter().position(|statement| starts(statement, true))?;
    let source = &noxfile.source;
    let (run, wrapped) = (plain.statements.get(test)?, again.statements.get(measured)?);
    let mut edits = Vec::new();
    // What the measuring needs, and the tests' session does not do yet.
    let done: Vec<&str> = plain.statements.iter().take(test).map(|statement| statement.text.as_str()).collect();
    let missing = again.statements.iter().take(measured).filter(|statement| !done.contains(&statement.text.as_str()));
    let mut before = String::new();
    for statement in missing.filter(|statement| !is_docstring(statement)) {
        before.push_str(source.slice(whole_lines(source, noxfile.place_of_statement(statement))));
    }
    let place = noxfile.place_of_statement(run);
    let at = source.line_start(source.line_of(place.start));
    edits.push(Edit { span: Span::new(at, at), text: before });
    edits.push(Edit { span: place, text: call(noxfile, plain, run, wrapped, module)? });
    edits.push(judge(noxfile, again, measured)?);
    edits.push(require(noxfile, again, &plain.name)?);
    Some(Fix {
        title: format!("measure coverage in `{}`, let `{}` only judge it", plain.name, again.name),
        safe: false,
        source: source.clone(),
        edits: edits.into_iter().filter(|edit| edit.span.start < edit.span.end || !edit.text.is_empty()).collect(),
        changes: vec![Change::Session(plain.name.clone()), Change::Session(again.name.clone())],
    })
}

/// The tests' call under the tool that measures: its words up to the runner, then the tests' own.
fn call(noxfile: &Noxfile, plain: &SessionFacts, run: &Statement, wrapped: &Statement, module: &str) -> Option<String> {
    let source = &noxfile.source;
    let at = |statement: &Statement| statement.args.iter().position(|(text, _)| text == module);
    let (own, other) = (at(run)?, at(wrapped)?);
    // Arguments of the measured run that the tests' own has not would get lost.
    let lost = |(text, _): &&(String, _)| !run.args.iter().any(|(known, _)| known == text);
    if wrapped.args.iter().skip(other + 1).any(|argument| lost(&argument)) {
        return None;
    }
    let words = wrapped.args.iter().take(other + 1).chain(run.args.iter().skip(own + 1));
    let mut words: Vec<&str> = words.map(|argument| source.slice(noxfile.place_of_argument(argument))).collect();
    let keywords = run.keywords.iter().map(|keyword| source.slice(noxfile.place_of_argument(keyword)));
    words.extend(keywords);
    let column = noxfile.place_of_statement(run).start
        - source.line_start(source.line_of(noxfile.place_of_statement(run).start));
    let head = format!("{}.run(", plain.parameter);
    let deep = " ".repeat(column + head.len());
    let cut = other - usize::from(wrapped.args.get(other.wrapping_sub(1)).is_some_and(|(text, _)| text == "-m"));
    let first: Vec<&str> = words.iter().take(cut).copied().collect();
    let rest: Vec<&str> = words.iter().skip(cut).copied().collect();
    let mut text = head + &first.join(", ");
    if !rest.is_empty() {
        text.push_str(&format!(",{}{deep}{}", source.ending(), rest.join(", ")));
    }
    Some(text + ")")
}

/// Takes the run and what only it needed out of the session that judges.
fn judge(noxfile: &Noxfile, again: &SessionFacts, measured: usize) -> Option<Edit> {
    let source = &noxfile.source;
    let left = again.statements.get(measured + 1..)?;
    // A later command needs what is installed; then only the run itself goes.
    let uses = left.iter().any(|statement| statement.text.contains(&format!("{}.run(", again.parameter)));
    let first = again.statements.iter().position(|statement| !is_docstring(statement))?;
    let from = if uses { measured } else { first };
    let last = left.first().and(again.statements.get(measured))?;
    let start = noxfile.place_of_statement(again.statements.get(from)?).start;
    let span = whole_lines(source, Span::new(start, noxfile.place_of_statement(last).end));
    let said = source.slice(span).lines().any(|line| line.trim_start().starts_with('#'));
    (!said).then(|| Edit { span, text: String::new() })
}

/// Says in the decorator that the tests come first.
fn require(noxfile: &Noxfile, again: &SessionFacts, tests: &str) -> Option<Edit> {
    let place = noxfile.place_of_session(again);
    let text = noxfile.source.slice(place);
    let entry = format!("requires=[\"{tests}\"]");
    if let Some(inside) = text.strip_suffix(')') {
        let comma = if inside.trim_end().ends_with(['(', ',']) { " " } else { ", " };
        let comma = if inside.trim_end().ends_with('(') { "" } else { comma };
        return Some(Edit { span: Span::new(place.end - 1, place.end - 1), text: format!("{comma}{entry}") });
    }
    (!text.contains('(')).then(|| Edit { span: Span::new(place.end, place.end), text: format!("({entry})") })
}

fn is_docstring(statement: &Statement) -> bool {
    statement.text.starts_with(['\'', '"'])
}
