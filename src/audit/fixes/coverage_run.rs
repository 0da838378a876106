//! Tests that ran twice run once: measured where they run, judged where coverage is judged.

use super::super::fix::{Fix, SemanticChange, TextEdit};
use super::super::noxfile::{Noxfile, NoxfileSession, SessionStatement};
use super::super::source::Span;
use super::text_edit::expand_to_lines;

/// Lets the tests' own session measure, and the coverage session only judge, after it. Edits the noxfile.
///
/// `module` is what both start: the test runner. None where more than the two runs differs.
pub(crate) fn measure_coverage_once(
    noxfile: &Noxfile,
    plain: &NoxfileSession,
    again: &NoxfileSession,
    module: &str,
) -> Option<Fix> {
    let fits = plain.session_parameter == again.session_parameter && !plain.is_parametrized && !again.is_parametrized && again.requires.is_empty();
    if !fits || plain.requires.contains(&again.name) {
        return None;
    }
    let starts = |statement: &SessionStatement, coverage: bool| {
        let words: Vec<&str> = statement.args.iter().map(|(text, _)| text.as_str()).collect();
        let measures = words.iter().any(|word| matches!(*word, "slipcover" | "coverage"));
        statement.method == "run" && measures == coverage && words.contains(&module)
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
        before.push_str(source.slice(expand_to_lines(source, noxfile.statement_span(statement))));
    }
    let place = noxfile.statement_span(run);
    let at = source.line_start(source.line_index(place.start));
    edits.push(TextEdit { span: Span::new(at, at), text: before });
    edits.push(TextEdit { span: place, text: render_measured_call(noxfile, plain, run, wrapped, module)? });
    edits.push(remove_measured_run(noxfile, again, measured)?);
    edits.push(add_requires(noxfile, again, &plain.name)?);
    Some(Fix {
        title: format!("measure coverage in `{}`, let `{}` only judge it", plain.name, again.name),
        safe: false,
        source: source.clone(),
        edits: edits.into_iter().filter(|edit| edit.span.start < edit.span.end || !edit.text.is_empty()).collect(),
        changes: vec![
            SemanticChange::RewriteSession(plain.name.clone()),
            SemanticChange::RewriteSession(again.name.clone()),
        ],
    })
}

/// The tests' call under the tool that measures: its words up to the runner, then the tests' own.
fn render_measured_call(
    noxfile: &Noxfile,
    plain: &NoxfileSession,
    run: &SessionStatement,
    wrapped: &SessionStatement,
    module: &str,
) -> Option<String> {
    let source = &noxfile.source;
    let at = |statement: &SessionStatement| statement.args.iter().position(|(text, _)| text == module);
    let (own, other) = (at(run)?, at(wrapped)?);
    // Arguments of the measured run that the tests' own has not would get lost.
    let lost = |(text, _): &&(String, _)| !run.args.iter().any(|(known, _)| known == text);
    if wrapped.args.iter().skip(other + 1).any(|argument| lost(&argument)) {
        return None;
    }
    let words = wrapped.args.iter().take(other + 1).chain(run.args.iter().skip(own + 1));
    let mut words: Vec<&str> = words.map(|argument| source.slice(noxfile.argument_span(argument))).collect();
    let keywords = run.keywords.iter().map(|keyword| source.slice(noxfile.argument_span(keyword)));
    words.extend(keywords);
    let column =
        noxfile.statement_span(run).start - source.line_start(source.line_index(noxfile.statement_span(run).start));
    let head = format!("{}.run(", plain.session_parameter);
    let deep = " ".repeat(column + head.len());
    let cut = other - usize::from(wrapped.args.get(other.wrapping_sub(1)).is_some_and(|(text, _)| text == "-m"));
    let first: Vec<&str> = words.iter().take(cut).copied().collect();
    let rest: Vec<&str> = words.iter().skip(cut).copied().collect();
    let mut text = head + &first.join(", ");
    if !rest.is_empty() {
        text.push_str(&format!(",{}{deep}{}", source.line_ending(), rest.join(", ")));
    }
    Some(text + ")")
}

/// Takes the run and what only it needed out of the session that judges.
fn remove_measured_run(noxfile: &Noxfile, again: &NoxfileSession, measured: usize) -> Option<TextEdit> {
    let source = &noxfile.source;
    let left = again.statements.get(measured + 1..)?;
    // A later command needs what is installed; then only the run itself goes.
    let uses = left.iter().any(|statement| statement.text.contains(&format!("{}.run(", again.session_parameter)));
    let first = again.statements.iter().position(|statement| !is_docstring(statement))?;
    let from = if uses { measured } else { first };
    let last = left.first().and(again.statements.get(measured))?;
    let start = noxfile.statement_span(again.statements.get(from)?).start;
    let span = expand_to_lines(source, Span::new(start, noxfile.statement_span(last).end));
    let said = source.slice(span).lines().any(|line| line.trim_start().starts_with('#'));
    (!said).then(|| TextEdit { span, text: String::new() })
}

/// Says in the decorator that the tests come first.
fn add_requires(noxfile: &Noxfile, again: &NoxfileSession, tests: &str) -> Option<TextEdit> {
    let place = noxfile.session_span(again);
    let text = noxfile.source.slice(place);
    let entry = format!("requires=[\"{tests}\"]");
    if let Some(inside) = text.strip_suffix(')') {
        let comma = if inside.trim_end().ends_with(['(', ',']) { " " } else { ", " };
        let comma = if inside.trim_end().ends_with('(') { "" } else { comma };
        return Some(TextEdit { span: Span::new(place.end - 1, place.end - 1), text: format!("{comma}{entry}") });
    }
    (!text.contains('(')).then(|| TextEdit { span: Span::new(place.end, place.end), text: format!("({entry})") })
}

fn is_docstring(statement: &SessionStatement) -> bool {
    statement.text.starts_with(['\'', '"'])
}
