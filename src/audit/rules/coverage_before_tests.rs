//! NX215: Coverage is judged before the tests that measure it, or without them.

use super::prelude::*;
use crate::audit::noxfile::NoxfileSession;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX215",
        name: "coverage-before-tests",
        summary: "Coverage is judged before the tests that measure it, or without them.",
    },
    rationale: "The session finds no data and fails, or finds the data of an earlier run and judges that.",
    evidence: "The users' coverage job carries its own test run because nothing hands the tests' data to it (#4800); apart from them, the order is all that makes it right.",
    advice: "Let the session require the tests (`requires=[…]` in the noxfile), name it after them, or fetch their data first; `noxide run` puts it after them by itself.",
    severity: Severity::Medium,
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
      - run: nox -s coverage tests
"#,
        ),
        ("noxfile.py", EXAMPLE_NOXFILE),
    ],
    good_example: &[
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
        ("noxfile.py", EXAMPLE_NOXFILE),
    ],
    check_project,
};

const EXAMPLE_NOXFILE: &str = r#"import nox

@nox.session
def tests(session):
    session.run("coverage", "run", "-m", "pytest")

@nox.session
def coverage(session):
    session.run("coverage", "report", "--fail-under", "97")
"#;

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    let Some(noxfile) = &project.noxfile else { return };
    let measuring: Vec<&NoxfileSession> = noxfile.sessions().iter().filter(|facts| has_coverage_run(facts)).collect();
    for view in project.job_views().filter(|view| !measuring.is_empty() && view.job.matrix.is_none()) {
        // noxide orders them itself; what fetches files may bring the data.
        if view.analysis.nox_calls.iter().any(|call| call.parsed.is_noxide) || has_downloaded_files(&view) {
            continue;
        }
        let ran: Vec<(usize, &str, Span)> = (view.analysis.nox_calls.iter().enumerate())
            .flat_map(|(number, call)| call.sessions.iter().map(move |(name, place)| (number, name.as_str(), *place)))
            .collect();
        for (at, (number, name, place)) in ran.iter().enumerate() {
            let Some(facts) =
                view.noxfile_session(name).filter(|facts| is_coverage_report_only(facts) && facts.requires.is_empty())
            else {
                continue;
            };
            let is_measuring = |session: &str| view.noxfile_session(session).is_some_and(has_coverage_run);
            if ran.iter().take(at).any(|(_, session, _)| is_measuring(session)) {
                continue;
            }
            let later = ran.iter().skip(at + 1).find(|(_, session, _)| is_measuring(session));
            let message = match later {
                Some((_, session, _)) => format!("`{name}` judges coverage before `{session}` has measured it"),
                None => format!("`{name}` judges coverage that no session of this job measures"),
            };
            let finding = found.report(view.source(), *place, message);
            finding.add_related(&noxfile.source, noxfile.session_span(facts), "it measures nothing itself");
            if let Some((other, _, after)) = later {
                if after != place {
                    finding.add_related(view.source(), *after, "measured here");
                }
                if other == number {
                    let call = view.analysis.nox_calls.get(*number);
                    finding.fix = call.and_then(|call| fixes::run_script::move_session_last(&view, call, name));
                }
            }
        }
    }
}

/// Whether a step brings files of other jobs.
fn has_downloaded_files(view: &JobView) -> bool {
    view.job.steps.iter().any(|step| {
        let action =
            step.action.as_ref().is_some_and(|action| action.name.contains("download") || action.is_cache_restore());
        let script = step.script.as_ref().is_some_and(|script| script.text.contains(".coverage"));
        action || script
    })
}

fn run_arguments(facts: &NoxfileSession) -> impl Iterator<Item = Vec<&str>> {
    facts.run_actions().map(|run| run.args.iter().map(String::as_str).collect())
}

/// Whether a session runs something under a coverage tool.
fn has_coverage_run(facts: &NoxfileSession) -> bool {
    run_arguments(facts).any(|words| {
        let run = words.windows(2).any(|pair| matches!(pair, ["coverage", "run"]));
        run || words.contains(&"slipcover") || words.iter().any(|word| word.starts_with("--cov"))
    })
}

/// Whether a session only looks at what others measured.
fn is_coverage_report_only(facts: &NoxfileSession) -> bool {
    let looks = |words: Vec<&str>| {
        words.windows(2).any(|pair| matches!(pair, ["coverage", "report" | "xml" | "html" | "json" | "combine"]))
    };
    !has_coverage_run(facts) && run_arguments(facts).any(looks)
}
