//! Fix of repeated test runs: measure coverage where the tests run, and only report it in the coverage session.

use super::super::fix::{Applicability, Fix, SemanticChange, TextEdit};
use super::super::noxfile::{Noxfile, NoxfileSession, SessionStatement};
use super::super::source::Span;
use super::text_edit::expand_to_lines;

/// Moves the measurement from the coverage session to the test session, which it then requires. Edits the noxfile.
///
/// Both sessions start `test_runner`. Returns `None` if they differ in more than the two runs.
pub(crate) fn measure_coverage_once(
    noxfile: &Noxfile,
    test_session: &NoxfileSession,
    coverage_session: &NoxfileSession,
    test_runner: &str,
) -> Option<Fix> {
    let is_compatible = test_session.session_parameter == coverage_session.session_parameter
        && !test_session.is_parametrized
        && !coverage_session.is_parametrized
        && coverage_session.requires.is_empty();
    // The words of a variable have no place of their own.
    let mut statements = test_session.statements.iter().chain(&coverage_session.statements);
    if statements.any(|statement| statement.has_substituted_args) {
        return None;
    }
    if !is_compatible || test_session.requires.contains(&coverage_session.name) {
        return None;
    }
    let is_test_run = |statement: &SessionStatement, coverage: bool| {
        let words: Vec<&str> = statement.args.iter().map(|(text, _)| text.as_str()).collect();
        let measures = words.iter().any(|word| matches!(*word, "slipcover" | "coverage"));
        statement.method == "run" && measures == coverage && words.contains(&test_runner)
    };
    let test_index = test_session.statements.iter().position(|statement| is_test_run(statement, false))?;
    let measured_index = coverage_session.statements.iter().position(|statement| is_test_run(statement, true))?;
    let source = &noxfile.source;
    let (test_run, measured_run) =
        (test_session.statements.get(test_index)?, coverage_session.statements.get(measured_index)?);
    let mut edits = Vec::new();
    // Statements that the measurement needs and the test session lacks.
    let existing: Vec<&str> =
        test_session.statements.iter().take(test_index).map(|statement| statement.text.as_str()).collect();
    let missing = coverage_session
        .statements
        .iter()
        .take(measured_index)
        .filter(|statement| !existing.contains(&statement.text.as_str()));
    let mut before = String::new();
    for statement in missing.filter(|statement| !is_docstring(statement)) {
        before.push_str(source.slice(expand_to_lines(source, noxfile.statement_span(statement))));
    }
    let span = noxfile.statement_span(test_run);
    let at = source.line_start(source.line_index(span.start));
    edits.push(TextEdit { span: Span::new(at, at), text: before });
    edits.push(TextEdit {
        span,
        text: render_measured_call(noxfile, test_session, test_run, measured_run, test_runner)?,
    });
    edits.push(remove_measured_run(noxfile, coverage_session, measured_index)?);
    edits.push(add_requires(noxfile, coverage_session, &test_session.name)?);
    Some(Fix {
        title: format!("measure coverage in `{}`, only report it in `{}`", test_session.name, coverage_session.name),
        applicability: Applicability::DisplayOnly,
        source: source.clone(),
        edits: edits.into_iter().filter(|edit| edit.span.start < edit.span.end || !edit.text.is_empty()).collect(),
        changes: vec![
            SemanticChange::RewriteSession(test_session.name.clone()),
            SemanticChange::RewriteSession(coverage_session.name.clone()),
        ],
    })
}

/// Returns the measured call: the arguments of the measured run up to the test runner, then those of the test run.
fn render_measured_call(
    noxfile: &Noxfile,
    test_session: &NoxfileSession,
    test_run: &SessionStatement,
    measured_run: &SessionStatement,
    test_runner: &str,
) -> Option<String> {
    let source = &noxfile.source;
    let runner_position =
        |statement: &SessionStatement| statement.args.iter().position(|(text, _)| text == test_runner);
    let (test_position, measured_position) = (runner_position(test_run)?, runner_position(measured_run)?);
    // Arguments that only the measured run has would be lost.
    let is_lost = |(text, _): &&(String, _)| !test_run.args.iter().any(|(known, _)| known == text);
    if measured_run.args.iter().skip(measured_position + 1).any(|argument| is_lost(&argument)) {
        return None;
    }
    let words =
        measured_run.args.iter().take(measured_position + 1).chain(test_run.args.iter().skip(test_position + 1));
    let mut words: Vec<&str> = words.map(|argument| source.slice(noxfile.argument_span(argument))).collect();
    let keywords = test_run.keywords.iter().map(|keyword| source.slice(noxfile.argument_span(keyword)));
    words.extend(keywords);
    let column = noxfile.statement_span(test_run).start
        - source.line_start(source.line_index(noxfile.statement_span(test_run).start));
    let head = format!("{}.run(", test_session.session_parameter);
    let indent = " ".repeat(column + head.len());
    let first_line_length = measured_position
        - usize::from(measured_run.args.get(measured_position.wrapping_sub(1)).is_some_and(|(text, _)| text == "-m"));
    let first: Vec<&str> = words.iter().take(first_line_length).copied().collect();
    let rest: Vec<&str> = words.iter().skip(first_line_length).copied().collect();
    let mut text = head + &first.join(", ");
    if !rest.is_empty() {
        text.push_str(&format!(",{}{indent}{}", source.line_ending(), rest.join(", ")));
    }
    Some(text + ")")
}

/// Removes the test run, and the statements that only it needed, from the coverage session.
fn remove_measured_run(
    noxfile: &Noxfile,
    coverage_session: &NoxfileSession,
    measured_index: usize,
) -> Option<TextEdit> {
    let source = &noxfile.source;
    let remaining = coverage_session.statements.get(measured_index + 1..)?;
    // If a later command needs the installed packages, only the run itself is removed.
    let needs_packages = remaining
        .iter()
        .any(|statement| statement.text.contains(&format!("{}.run(", coverage_session.session_parameter)));
    let first = coverage_session.statements.iter().position(|statement| !is_docstring(statement))?;
    let from = if needs_packages { measured_index } else { first };
    let last = remaining.first().and(coverage_session.statements.get(measured_index))?;
    let start = noxfile.statement_span(coverage_session.statements.get(from)?).start;
    let span = expand_to_lines(source, Span::new(start, noxfile.statement_span(last).end));
    let has_comment = source.slice(span).lines().any(|line| line.trim_start().starts_with('#'));
    (!has_comment).then(|| TextEdit { span, text: String::new() })
}

/// Adds the test session to `requires` of the decorator.
fn add_requires(noxfile: &Noxfile, coverage_session: &NoxfileSession, test_session: &str) -> Option<TextEdit> {
    let span = noxfile.session_span(coverage_session);
    let text = noxfile.source.slice(span);
    let entry = format!("requires=[\"{test_session}\"]");
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
