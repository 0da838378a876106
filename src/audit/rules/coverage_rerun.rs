//! NX205: Tests run a second time only to measure coverage.

use std::collections::BTreeSet;

use super::prelude::*;
use crate::audit::noxfile::{measured_test_runner, repeats_tests};
use crate::audit::project::JobNoxCall;
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
            for (name, rerun_span) in plain_sessions(view) {
                report_rerun(view, (name, rerun_span), &all, findings);
            }
        }
    }
}

fn report_rerun(view: &JobView, (name, rerun_span): (&str, Span), all: &[JobView], findings: &mut FindingSink) {
    let Some(coverage) = view.noxfile_session(name) else { return };
    let Some(runner) = measured_test_runner(coverage) else { return };
    let first = all.iter().find_map(|other| {
        let mut sessions = plain_sessions(other).into_iter();
        let repeated =
            |name: &str| other.noxfile_session(name).is_some_and(|tests| repeats_tests(tests, coverage, &runner));
        sessions.find(|(session, _)| repeated(session)).map(|(session, span)| (other, session, span))
    });
    let Some((other, session, span)) = first else { return };
    let message = format!("`{name}` runs the tests of `{session}` again to measure coverage");
    let finding = findings.report(view.source(), rerun_span, message);
    // In a loop both names can have the same span.
    if other.source() != view.source() || span != rerun_span {
        finding.add_related(other.source(), span, "the tests already run here");
    }
    if let (Some(noxfile), Some(first)) = (&view.project.noxfile, other.noxfile_session(session)) {
        finding.fix = fixes::coverage_run::measure_coverage_once(noxfile, first, coverage, &runner);
        finding.add_related(&noxfile.source, noxfile.session_span(coverage), "this session runs them again");
    }
}

/// Returns the sessions that the job, or one job of its matrix, runs in every run, without arguments.
fn plain_sessions<'a>(view: &JobView<'a>) -> Vec<(&'a str, Span)> {
    let is_unconditional = |index: usize| view.step(index).is_some_and(|step: &WorkflowStep| step.condition.is_none());
    let has_literal_matrix = has_every_combination(view);
    let is_known = |call: &JobNoxCall| {
        let is_literal = call.sessions.iter().all(|(name, _)| !name.contains('$'));
        !call.is_from_matrix || (has_literal_matrix && is_literal && call.alternative.is_none())
    };
    let calls = view
        .analysis
        .nox_calls
        .iter()
        .filter(|call| call.parsed.posargs.is_empty() && is_known(call) && is_unconditional(call.step_index));
    calls.flat_map(|call| call.sessions.iter().map(|(name, span)| (name.as_str(), *span))).collect()
}

/// Whether the matrix runs each chosen session with the same other values: all combinations of its values are jobs.
fn has_every_combination(view: &JobView) -> bool {
    let Some(entries) = view.job.matrix.as_ref().and_then(|matrix| matrix.entries.as_ref()) else { return false };
    let Some(expression) = view.matrix_session_expression() else { return false };
    let path = expression.trim_start_matches("${{ matrix.").trim_end_matches(" }}");
    let count_values = |is_session: bool| {
        let texts = entries.iter().map(|entry| {
            let pairs = entry.iter().filter(|(name, _)| (name == path) == is_session);
            let mut pairs: Vec<String> = pairs.map(|(name, text)| format!("{name}={}", text.value)).collect();
            pairs.sort();
            pairs.join(",")
        });
        texts.collect::<BTreeSet<String>>().len()
    };
    entries.len() == count_values(true) * count_values(false)
}
