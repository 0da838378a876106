//! NX205: Tests run a second time only to measure coverage.

use std::collections::BTreeSet;

use super::prelude::*;
use crate::audit::noxfile::{measured_test_runner, repeats_tests};
use crate::audit::project::JobNoxCall;
use crate::audit::shell::NoxCallSelection;
use crate::audit::workflow::Workflow;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX205",
        name: "coverage-rerun",
        summary: "Tests run a second time only to measure coverage.",
    },
    rationale: "The second run is usually the slower one, and on the critical path.",
    evidence: "10 to 15 minutes of every run of a real pipeline, about 228 runner-hours in 14 days; requested in 11 issues.",
    advice: "Measure coverage in the first run, keep the data, and let the coverage session only report it, after the tests (`requires`). Where several sessions, workers or runners measure coverage, `noxide merge --coverage --fail-under N` combines their data and fails below N percent. The patch edits the noxfile: review it, since measured tests may run slower. Reported only if both sessions select the same tests with the same interpreter, installs and variables: for sessions of one or two jobs, of two entries of a matrix, and of workflows with the same events.",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: nox -s tests
  coverage:
    runs-on: docker
    steps:
      - run: nox -s coverage
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

@nox.session
def tests(session):
    session.run("pytest", "tests")

@nox.session
def coverage(session):
    session.run("coverage", "run", "-m", "pytest", "tests")
    session.run("coverage", "report")
"#,
        ),
    ],
    good_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: noxide run -s tests coverage
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

@nox.session
def tests(session):
    session.run("coverage", "run", "-m", "pytest", "tests")

@nox.session
def coverage(session):
    session.run("coverage", "report")
"#,
        ),
    ],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for workflow in &project.workflows {
        let has_same_events = |other: &&Workflow| {
            let events = |workflow: &Workflow| workflow.source.slice(workflow.triggers.span).to_owned();
            other.index == workflow.index || (other.kind == workflow.kind && events(other) == events(workflow))
        };
        let is_unconditional = |view: &JobView| view.job.condition.is_none();
        let own: Vec<JobView> = project.workflow_job_views(workflow).filter(is_unconditional).collect();
        let others = project.workflows.iter().filter(has_same_events).filter(|other| other.index != workflow.index);
        let others = others.flat_map(|other| project.workflow_job_views(other)).filter(is_unconditional);
        let all: Vec<JobView> = own.iter().copied().chain(others).collect();
        for view in &own {
            for session in plain_sessions(view) {
                report_rerun(view, &session, &all, findings);
            }
        }
    }
}

/// A session that a job runs without arguments.
#[derive(Clone)]
struct PlainSession<'a> {
    name: &'a str,
    span: Span,
    /// Path in the matrix (`x.y` of `matrix.x.y`) that selects it, if the matrix does.
    path: Option<String>,
}

fn report_rerun(view: &JobView, rerun: &PlainSession, all: &[JobView], findings: &mut FindingSink) {
    let name = rerun.name;
    let Some(coverage) = view.noxfile_session(name) else { return };
    let Some(runner) = measured_test_runner(coverage) else { return };
    let first = all.iter().find_map(|other| {
        let is_same_job = other.workflow.index == view.workflow.index && other.job.id.value == view.job.id.value;
        let is_repeated = |session: &PlainSession| {
            let tests = other.noxfile_session(session.name);
            tests.is_some_and(|tests| repeats_tests(tests, coverage, &runner))
                && (!is_same_job || runs_in_equal_jobs(view, rerun, session))
        };
        let found = plain_sessions(other).into_iter().find(is_repeated);
        found.map(|session| (other, session.name, session.span))
    });
    let Some((other, session, span)) = first else { return };
    let message = format!("`{name}` runs the tests of `{session}` again to measure coverage");
    let finding = findings.report(view.source(), rerun.span, message);
    // In a loop both names can have the same span.
    if other.source() != view.source() || span != rerun.span {
        finding.add_related(other.source(), span, "the tests already run here");
    }
    if let (Some(noxfile), Some(first)) = (&view.project.noxfile, other.noxfile_session(session)) {
        finding.fix = fixes::coverage_run::measure_coverage_once(noxfile, first, coverage, &runner);
        finding.add_related(&noxfile.source, noxfile.session_span(coverage), "this session runs them again");
    }
}

/// Returns the sessions that the job, or one job of its matrix, runs in every run, without arguments.
fn plain_sessions<'a>(view: &JobView<'a>) -> Vec<PlainSession<'a>> {
    let is_unconditional = |index: usize| view.step(index).is_some_and(WorkflowStep::runs_on_success);
    let has_literal_matrix = view.job.matrix.as_ref().is_some_and(|matrix| matrix.entries.is_some());
    let mut found = Vec::new();
    let calls = view.analysis.nox_calls.iter();
    for call in calls.filter(|call| call.parsed.posargs.is_empty() && is_unconditional(call.step_index)) {
        let path = selecting_path(view, call).filter(|_| has_literal_matrix);
        let is_literal = call.sessions.iter().all(|(name, _)| !name.contains('$'));
        if !call.is_selected_by_expression || (path.is_some() && is_literal) {
            let path = path.filter(|_| call.is_selected_by_expression);
            found.extend(call.sessions.iter().map(|(name, span)| PlainSession {
                name,
                span: *span,
                path: path.clone(),
            }));
        }
    }
    found
}

/// Returns the path in the matrix that alone selects the sessions of a call.
fn selecting_path(view: &JobView, call: &JobNoxCall) -> Option<String> {
    let written = match &call.parsed.selection {
        NoxCallSelection::Names(words) => words.first().filter(|_| words.len() == 1)?.text.as_str(),
        NoxCallSelection::Default => {
            let variable = view.workflow.resolve_variable(view.job, view.step(call.step_index), "NOXSESSION")?;
            variable.value.as_str()
        }
        _ => return None,
    };
    let expression = written.trim().strip_prefix("${{")?.strip_suffix("}}")?;
    expression.trim().strip_prefix("matrix.").map(str::to_owned)
}

/// Whether each job of the matrix that runs the second session is like one that runs the first: all other values are equal.
fn runs_in_equal_jobs(view: &JobView, rerun: &PlainSession, tests: &PlainSession) -> bool {
    // A session that the matrix does not select runs in all its jobs.
    let (Some(path), Some(_)) = (&rerun.path, &tests.path) else { return true };
    let Some(entries) = view.job.matrix.as_ref().and_then(|matrix| matrix.entries.as_ref()) else { return false };
    let other_values = |session: &str| -> Vec<BTreeSet<(String, String)>> {
        let selects = |text: &str| text.split([',', ' ']).any(|name| name.trim() == session);
        let selected =
            entries.iter().filter(|entry| entry.iter().any(|(name, text)| name == path && selects(&text.value)));
        let pairs = selected.map(|entry| entry.iter().filter(|(name, _)| name != path));
        pairs.map(|pairs| pairs.map(|(name, text)| (name.clone(), text.value.clone())).collect()).collect()
    };
    let (reruns, first) = (other_values(rerun.name), other_values(tests.name));
    rerun.path == tests.path && !reruns.is_empty() && reruns.iter().all(|values| first.contains(values))
}
