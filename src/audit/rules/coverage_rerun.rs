//! NX205: Tests run a second time only to measure coverage.

use super::prelude::*;
use crate::audit::noxfile::{measured_test_runner, repeats_tests};

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX205",
        name: "coverage-rerun",
        summary: "Tests run a second time only to measure coverage.",
    },
    rationale: "The second run is usually the slower one, and on the critical path.",
    evidence: "10 to 15 minutes of every run of a real pipeline, about 228 runner-hours in 14 days; requested in 11 issues.",
    advice: "Measure coverage in the first run, keep the data, and let the coverage session only report it, after the tests (`requires`). Where several sessions, workers or runners measure coverage, `noxide merge --coverage --fail-under N` combines their data and fails below N percent. The patch edits the noxfile: review it, since measured tests may run slower. Reported only if both sessions select the same tests with the same interpreter, installs and variables.",
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
        let views: Vec<JobView> =
            project.workflow_job_views(workflow).filter(|view| view.job.condition.is_none()).collect();
        for view in &views {
            for (name, rerun_span) in plain_sessions(view) {
                let Some(coverage) = view.noxfile_session(name) else { continue };
                let Some(runner) = measured_test_runner(coverage) else { continue };
                let first = views.iter().find_map(|other| {
                    let mut sessions = plain_sessions(other).into_iter();
                    let repeated = |name: &str| {
                        other.noxfile_session(name).is_some_and(|tests| repeats_tests(tests, coverage, &runner))
                    };
                    sessions.find(|(session, _)| repeated(session)).map(|(session, span)| (other, session, span))
                });
                let Some((other, session, span)) = first else { continue };
                let message = format!("`{name}` runs the tests of `{session}` again to measure coverage");
                let finding = findings.report(view.source(), rerun_span, message);
                // In a loop both names can have the same span.
                if other.source() != view.source() || span != rerun_span {
                    finding.add_related(other.source(), span, "the tests already run here");
                }
                if let (Some(noxfile), Some(first)) = (&project.noxfile, other.noxfile_session(session)) {
                    finding.fix = fixes::coverage_run::measure_coverage_once(noxfile, first, coverage, &runner);
                    finding.add_related(
                        &noxfile.source,
                        noxfile.session_span(coverage),
                        "this session runs them again",
                    );
                }
            }
        }
    }
}

/// Returns the sessions that the job runs in every run, without arguments and not chosen by the matrix.
fn plain_sessions<'a>(view: &JobView<'a>) -> Vec<(&'a str, Span)> {
    let is_unconditional = |index: usize| view.step(index).is_some_and(|step: &WorkflowStep| step.condition.is_none());
    let calls = view
        .analysis
        .nox_calls
        .iter()
        .filter(|call| call.parsed.posargs.is_empty() && !call.is_from_matrix && is_unconditional(call.step_index));
    calls.flat_map(|call| call.sessions.iter().map(|(name, span)| (name.as_str(), *span))).collect()
}
