//! NX205: the tests run a second time only to measure coverage.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX205",
        name: "coverage-rerun",
        summary: "The tests run a second time only to measure coverage.",
    },
    rationale: "The second run is usually the slower one, and on the critical path.",
    evidence: "W12: 10 to 15 minutes of every run, about 228 runner-hours in 14 days; called the change of highest return by the users, asked for in 11 issues.",
    advice: "Measure in the first run, keep the data, and let the coverage session only judge it, after the tests (`requires`); where several sessions, workers or runners measure, `noxide merge --coverage --fail-under N` puts their data together and holds it to the threshold. The fix edits the noxfile: look at it, since tests that are measured may run slower than tests that are not.",
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

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for workflow in &project.workflows {
        let jobs: Vec<JobView> = project.workflow_job_views(workflow).collect();
        let ran =
            |view: &JobView| view.analysis.nox_calls.iter().flat_map(|call| call.sessions.clone()).collect::<Vec<_>>();
        for view in &jobs {
            for (name, place) in ran(view) {
                let Some(again) = view.noxfile_session(&name).and_then(measured_test_runner) else { continue };
                let first = jobs.iter().find_map(|other| {
                    let same = ran(other).into_iter().find(|(session, _)| {
                        *session != name
                            && other
                                .noxfile_session(session)
                                .is_some_and(|facts| unmeasured_test_runners(facts).contains(&again))
                    });
                    same.map(|(session, span)| (other, session, span))
                });
                let Some((other, session, span)) = first else { continue };
                let message = format!("`{name}` runs the tests of `{session}` again to measure coverage");
                let finding = found.report(view.source(), place, message);
                // In a loop both names may stand in one place.
                if other.source() != view.source() || span != place {
                    finding.add_related(other.source(), span, "they run here already");
                }
                let first = other.noxfile_session(&session);
                if let (Some(noxfile), Some(facts), Some(first)) =
                    (&project.noxfile, view.noxfile_session(&name), first)
                {
                    finding.fix = fixes::coverage_run::measure_coverage_once(noxfile, first, facts, &again);
                    finding.add_related(
                        &noxfile.source,
                        noxfile.session_span(facts),
                        "the session that runs them again",
                    );
                }
            }
        }
    }
}

const COVERAGE_TOOLS: [&str; 2] = ["slipcover", "coverage"];

/// The test runner that a session starts under a coverage tool.
fn measured_test_runner(facts: &crate::audit::noxfile::NoxfileSession) -> Option<String> {
    facts.run_actions().find_map(|run| {
        let words: Vec<&str> = run.args.iter().map(String::as_str).collect();
        let wraps = words.iter().any(|word| COVERAGE_TOOLS.contains(word));
        let last = words.iter().rposition(|word| *word == "-m")?;
        let module = *words.get(last + 1)?;
        (wraps && !COVERAGE_TOOLS.contains(&module)).then(|| module.to_owned())
    })
}

/// The test runners that a session starts without one.
fn unmeasured_test_runners(facts: &crate::audit::noxfile::NoxfileSession) -> Vec<String> {
    let runs = facts.run_actions().filter(|run| {
        !run.args.iter().any(|word| COVERAGE_TOOLS.contains(&word.as_str()) || word.starts_with("--cov"))
    });
    runs.flat_map(|run| run.args.iter().take(3).cloned().collect::<Vec<_>>())
        .filter(|word| word != "python" && word != "-m")
        .collect()
}
