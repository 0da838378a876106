//! NX205: the tests run a second time only to measure coverage.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX205",
        name: "coverage-rerun",
        what: "The tests run a second time only to measure coverage.",
    },
    why: "The second run is usually the slower one, and on the critical path.",
    evidence: "W12: 10 to 15 minutes of every run, about 228 runner-hours in 14 days; called the change of highest return by the users, asked for in 11 issues.",
    advice: "Measure in the first run, keep the data, and let the coverage session only judge it, after the tests (`requires`); where several sessions, workers or runners measure, `noxide merge --coverage --fail-under N` puts their data together and holds it to the threshold. The fix edits the noxfile: look at it, since tests that are measured may run slower than tests that are not.",
    severity: Severity::High,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    dialects: EVERYWHERE,
    bad: &[
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
    good: &[
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
    look,
};

fn look(project: &Project, found: &mut Found) {
    for workflow in &project.workflows {
        let jobs: Vec<View> = project.jobs_of(workflow).collect();
        let ran = |view: &View| view.survey.calls.iter().flat_map(|call| call.sessions.clone()).collect::<Vec<_>>();
        for view in &jobs {
            for (name, place) in ran(view) {
                let Some(again) = view.facts(&name).and_then(measured) else { continue };
                let first = jobs.iter().find_map(|other| {
                    let same = ran(other).into_iter().find(|(session, _)| {
                        *session != name && other.facts(session).is_some_and(|facts| plain(facts).contains(&again))
                    });
                    same.map(|(session, span)| (other, session, span))
                });
                let Some((other, session, span)) = first else { continue };
                let message = format!("`{name}` runs the tests of `{session}` again to measure coverage");
                let finding = found.report(view.source(), place, message);
                // In a loop both names may stand in one place.
                if other.source() != view.source() || span != place {
                    finding.also(other.source(), span, "they run here already");
                }
                let first = other.facts(&session);
                if let (Some(noxfile), Some(facts), Some(first)) = (&project.noxfile, view.facts(&name), first) {
                    finding.fix = fixes::coverage::measure_once(noxfile, first, facts, &again);
                    finding.also(&noxfile.source, noxfile.place_of_session(facts), "the session that runs them again");
                }
            }
        }
    }
}

const MEASURES: [&str; 2] = ["slipcover", "coverage"];

/// The test runner that a session starts under a coverage tool.
fn measured(facts: &crate::audit::noxfile::SessionFacts) -> Option<String> {
    facts.runs().find_map(|run| {
        let words: Vec<&str> = run.args.iter().map(String::as_str).collect();
        let wraps = words.iter().any(|word| MEASURES.contains(word));
        let last = words.iter().rposition(|word| *word == "-m")?;
        let module = *words.get(last + 1)?;
        (wraps && !MEASURES.contains(&module)).then(|| module.to_owned())
    })
}

/// The test runners that a session starts without one.
fn plain(facts: &crate::audit::noxfile::SessionFacts) -> Vec<String> {
    let runs = facts
        .runs()
        .filter(|run| !run.args.iter().any(|word| MEASURES.contains(&word.as_str()) || word.starts_with("--cov")));
    runs.flat_map(|run| run.args.iter().take(3).cloned().collect::<Vec<_>>())
        .filter(|word| word != "python" && word != "-m")
        .collect()
}
