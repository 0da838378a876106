//! NX205: Tests run a second time only to measure coverage.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX205",
        name: "coverage-rerun",
        summary: "Tests run a second time only to measure coverage.",
    },
    rationale: "The second run is usually the slower one, and on the critical path.",
    evidence: "10 to 15 minutes of every run of a real pipeline, about 228 runner-hours in 14 days; requested in 11 issues.",
    advice: "Measure coverage in the first run, keep the data, and let the coverage session only report it, after the tests (`requires`). Where several sessions, workers or runners measure coverage, `noxide merge --coverage --fail-under N` combines their data and fails below N percent. The fix edits the noxfile: review it, since measured tests may run slower.",
    severity: Severity::High,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
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
        let jobs: Vec<JobView> = project.workflow_job_views(workflow).collect();
        let job_sessions =
            |view: &JobView| view.analysis.nox_calls.iter().flat_map(|call| call.sessions.clone()).collect::<Vec<_>>();
        for view in &jobs {
            for (name, rerun_span) in job_sessions(view) {
                let Some(runner) = view.noxfile_session(&name).and_then(measured_test_runner) else { continue };
                let first = jobs.iter().find_map(|other| {
                    let same = job_sessions(other).into_iter().find(|(session, _)| {
                        *session != name
                            && other
                                .noxfile_session(session)
                                .is_some_and(|session| unmeasured_test_runners(session).contains(&runner))
                    });
                    same.map(|(session, span)| (other, session, span))
                });
                let Some((other, session, span)) = first else { continue };
                let message = format!("`{name}` runs the tests of `{session}` again to measure coverage");
                let finding = findings.report(view.source(), rerun_span, message);
                // In a loop both names can have the same span.
                if other.source() != view.source() || span != rerun_span {
                    finding.add_related(other.source(), span, "the tests already run here");
                }
                let first = other.noxfile_session(&session);
                if let (Some(noxfile), Some(session), Some(first)) =
                    (&project.noxfile, view.noxfile_session(&name), first)
                {
                    finding.fix = fixes::coverage_run::measure_coverage_once(noxfile, first, session, &runner);
                    finding.add_related(&noxfile.source, noxfile.session_span(session), "this session runs them again");
                }
            }
        }
    }
}

const COVERAGE_TOOLS: [&str; 2] = ["slipcover", "coverage"];

/// Returns the test runner that a session starts with coverage measurement.
fn measured_test_runner(session: &crate::audit::noxfile::NoxfileSession) -> Option<String> {
    session.run_actions().find_map(|run| {
        let words: Vec<&str> = run.args.iter().map(String::as_str).collect();
        let wraps = words.iter().any(|word| COVERAGE_TOOLS.contains(word));
        let last = words.iter().rposition(|word| *word == "-m")?;
        let module = *words.get(last + 1)?;
        (wraps && !COVERAGE_TOOLS.contains(&module)).then(|| module.to_owned())
    })
}

/// Returns the test runners that a session starts without coverage measurement.
fn unmeasured_test_runners(session: &crate::audit::noxfile::NoxfileSession) -> Vec<String> {
    let runs = session.run_actions().filter(|run| {
        !run.args.iter().any(|word| COVERAGE_TOOLS.contains(&word.as_str()) || word.starts_with("--cov"))
    });
    runs.flat_map(|run| run.args.iter().take(3).cloned().collect::<Vec<_>>())
        .filter(|word| word != "python" && word != "-m")
        .collect()
}
