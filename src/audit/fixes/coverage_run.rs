//! Fix of repeated test runs: measure coverage where the tests run, and only report it in the coverage session.

use super::super::fix::{Fix, SemanticChange, TextEdit};
use super::super::noxfile::{Noxfile, NoxfileSession, SessionStatement};
use super::super::source::Span;
use super::text_edit::expand_to_lines;

/// Moves the measurement from `rerun` to the test session `plain`, and makes `rerun` require it. Edits the noxfile.
///
/// `module` is the test runner that both start. Returns `None` if the sessions differ in more than the two runs.
pub(crate) fn measure_coverage_once(
    noxfile: &Noxfile,
    plain: &NoxfileSession,
    rerun: &NoxfileSession,
    module: &str,
) -> Option<Fix> {
    let is_compatible = plain.session_parameter == rerun.session_parameter
        && !plain.is_parametrized
        && !rerun.is_parametrized
        && rerun.requires.is_empty();
    if !is_compatible || plain.requires.contains(&rerun.name) {
        return None;
    }
    let starts = |statement: &SessionStatement, coverage: bool| {
        let words: Vec<&str> = statement.args.iter().map(|(text, _)| text.as_str()).collect();
        let measures = words.iter().any(|word| matches!(*word, "slipcover" | "coverage"));
        statement.method == "run" && measures == coverage && words.contains(&module)
    };
    let test = plain.statements.iter().position(|statement| starts(statement, false))?;
    let measured = rerun.statements.iter().position(|statement| starts(statement, true))?;
    let source = &noxfile.source;
    let (run, wrapped) = (plain.statements.get(test)?, rerun.statements.get(measured)?);
    let mut edits = Vec::new();
    // Statements that the measurement needs and the test session lacks.
    let done: Vec<&str> = plain.statements.iter().take(test).map(|statement| statement.text.as_str()).collect();
    let missing = rerun.statements.iter().take(measured).filter(|statement| !done.contains(&statement.text.as_str()));
    let mut before = String::new();
    for statement in missing.filter(|statement| !is_docstring(statement)) {
        before.push_str(source.slice(expand_to_lines(source, noxfile.statement_span(statement))));
    }
    let span = noxfile.statement_span(run);
    let at = source.line_start(source.line_index(span.start));
    edits.push(TextEdit { span: Span::new(at, at), text: before });
    edits.push(TextEdit { span, text: render_measured_call(noxfile, plain, run, wrapped, module)? });
    edits.push(remove_measured_run(noxfile, rerun, measured)?);
    edits.push(add_requires(noxfile, rerun, &plain.name)?);
    Some(Fix {
        title: format!("measure coverage in `{}`, only report it in `{}`", plain.name, rerun.name),
        safe: false,
        source: source.clone(),
        edits: edits.into_iter().filter(|edit| edit.span.start < edit.span.end || !edit.text.is_empty()).collect(),
        changes: vec![
            SemanticChange::RewriteSession(plain.name.clone()),
            SemanticChange::RewriteSession(rerun.name.clone()),
        ],
    })
}

/// The measured call: the arguments of `wrapped` up to the runner, then those of the plain run.
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
    // Arguments that only the measured run has would be lost.
    let is_lost = |(text, _): &&(String, _)| !run.args.iter().any(|(known, _)| known == text);
    if wrapped.args.iter().skip(other + 1).any(|argument| is_lost(&argument)) {
        return None;
    }
    let words = wrapped.args.iter().take(other + 1).chain(run.args.iter().skip(own + 1));
    let mut words: Vec<&str> = words.map(|argument| source.slice(noxfile.argument_span(argument))).collect();
    let keywords = run.keywords.iter().map(|keyword| source.slice(noxfile.argument_span(keyword)));
    words.extend(keywords);
    let column =
        noxfile.statement_span(run).start - source.line_start(source.line_index(noxfile.statement_span(run).start));
    let head = format!("{}.run(", plain.session_parameter);
    let indent = " ".repeat(column + head.len());
    let cut = other - usize::from(wrapped.args.get(other.wrapping_sub(1)).is_some_and(|(text, _)| text == "-m"));
    let first: Vec<&str> = words.iter().take(cut).copied().collect();
    let rest: Vec<&str> = words.iter().skip(cut).copied().collect();
    let mut text = head + &first.join(", ");
    if !rest.is_empty() {
        text.push_str(&format!(",{}{indent}{}", source.line_ending(), rest.join(", ")));
    }
    Some(text + ")")
}

/// Removes the test run, and the statements that only it needed, from the coverage session.
fn remove_measured_run(noxfile: &Noxfile, rerun: &NoxfileSession, measured: usize) -> Option<TextEdit> {
    let source = &noxfile.source;
    let remaining = rerun.statements.get(measured + 1..)?;
    // If a later command needs the installed packages, only the run itself is removed.
    let needs_packages =
        remaining.iter().any(|statement| statement.text.contains(&format!("{}.run(", rerun.session_parameter)));
    let first = rerun.statements.iter().position(|statement| !is_docstring(statement))?;
    let from = if needs_packages { measured } else { first };
    let last = remaining.first().and(rerun.statements.get(measured))?;
    let start = noxfile.statement_span(rerun.statements.get(from)?).start;
    let span = expand_to_lines(source, Span::new(start, noxfile.statement_span(last).end));
    let has_comment = source.slice(span).lines().any(|line| line.trim_start().starts_with('#'));
    (!has_comment).then(|| TextEdit { span, text: String::new() })
}

/// Adds the test session to `requires` of the decorator.
fn add_requires(noxfile: &Noxfile, rerun: &NoxfileSession, tests: &str) -> Option<TextEdit> {
    let span = noxfile.session_span(rerun);
    let text = noxfile.source.slice(span);
    let entry = format!("requires=[\"{tests}\"]");
    if let Some(inside) = text.strip_suffix(')') {
        let comma = if inside.trim_end().ends_with(['(', ',']) { " " } else { ", " };
        let comma = if inside.trim_end().ends_with('(') { "" } else { comma };
        return Some(TextEdit { span: Span::new(span.end - 1, span.end - 1), text: format!("{comma}{entry}") });
    }
    (!text.contains('(')).then(|| TextEdit { span: Span::new(span.end, span.end), text: format!("({entry})") })
}

fn is_docstring(statement: &SessionStatement) -> bool {
    statement.text.starts_with(['\'', '"'])
}
