//! NX215: Coverage is judged before the tests that measure it, or without them.

use super::prelude::*;
use crate::audit::noxfile::SessionFacts;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX215",
        name: "coverage-before-tests",
        what: "Coverage is judged before the tests that measure it, or without them.",
    },
    why: "The session finds no data and fails, or finds the data of an earlier run and judges that.",
    evidence: "The users' coverage job carries its own test run because nothing hands the tests' data to it (#4800); apart from them, the order is all that makes it right.",
    advice: "Let the session require the tests (`requires=[…]` in the noxfile), name it after them, or fetch their data first; `noxide run` puts it after them by itself.",
    severity: Severity::Medium,
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
      - run: nox -s coverage tests
"#,
        ),
        ("noxfile.py", NOXFILE),
    ],
    good: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: nox -s tests coverage
"#,
        ),
        ("noxfile.py", NOXFILE),
    ],
    look,
};

const NOXFILE: &str = r#"import nox

@nox.session
def tests(session):
    session.run("coverage", "run", "-m", "pytest")

@nox.session
def coverage(session):
    session.run("coverage", "report", "--fail-under", "97")
"#;

fn look(project: &Project, found: &mut Found) {
    let Some(noxfile) = &project.noxfile else { return };
    let measuring: Vec<&SessionFacts> = noxfile.sessions().iter().filter(|facts| measures(facts)).collect();
    for view in project.jobs().filter(|view| !measuring.is_empty() && view.job.matrix.is_none()) {
        // noxide orders them itself; what fetches files may bring the data.
        if view.survey.calls.iter().any(|call| call.nox.noxide) || brings(&view) {
            continue;
        }
        let ran: Vec<(usize, &str, Span)> = (view.survey.calls.iter().enumerate())
            .flat_map(|(number, call)| call.sessions.iter().map(move |(name, place)| (number, name.as_str(), *place)))
            .collect();
        for (at, (number, name, place)) in ran.iter().enumerate() {
            let Some(facts) = view.facts(name).filter(|facts| judges(facts) && facts.requires.is_empty()) else {
                continue;
            };
            let is_measuring = |session: &str| view.facts(session).is_some_and(measures);
            if ran.iter().take(at).any(|(_, session, _)| is_measuring(session)) {
                continue;
            }
            let later = ran.iter().skip(at + 1).find(|(_, session, _)| is_measuring(session));
            let message = match later {
                Some((_, session, _)) => format!("`{name}` judges coverage before `{session}` has measured it"),
                None => format!("`{name}` judges coverage that no session of this job measures"),
            };
            let finding = found.report(view.source(), *place, message);
            finding.also(&noxfile.source, noxfile.place_of_session(facts), "it measures nothing itself");
            if let Some((other, _, after)) = later {
                if after != place {
                    finding.also(view.source(), *after, "measured here");
                }
                if other == number {
                    let call = view.survey.calls.get(*number);
                    finding.fix = call.and_then(|call| fixes::shell::name_last(&view, call, name));
                }
            }
        }
    }
}

/// Whether a step brings files of other jobs.
fn brings(view: &View) -> bool {
    view.job.steps.iter().any(|step| {
        let action = step.action.as_ref().is_some_and(|action| action.name.contains("download") || action.is_cache());
        let script = step.script.as_ref().is_some_and(|script| script.text.contains(".coverage"));
        action || script
    })
}

fn words(facts: &SessionFacts) -> impl Iterator<Item = Vec<&str>> {
    facts.runs().map(|run| run.args.iter().map(String::as_str).collect())
}

/// Whether a session runs something under a coverage tool.
fn measures(facts: &SessionFacts) -> bool {
    words(facts).any(|words| {
        let run = words.windows(2).any(|pair| matches!(pair, ["coverage", "run"]));
        run || words.contains(&"slipcover") || words.iter().any(|word| word.starts_with("--cov"))
    })
}

/// Whether a session only looks at what others measured.
fn judges(facts: &SessionFacts) -> bool {
    let looks = |words: Vec<&str>| {
        words.windows(2).any(|pair| matches!(pair, ["coverage", "report" | "xml" | "html" | "json" | "combine"]))
    };
    !measures(facts) && words(facts).any(looks)
}
