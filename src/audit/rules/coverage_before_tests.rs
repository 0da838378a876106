//! NX215: Coverage is reported before the tests that measure it, or without them.

use super::prelude::*;
use crate::audit::noxfile::NoxfileSession;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX215",
        name: "coverage-before-tests",
        summary: "Coverage is reported before the tests that measure it, or without them.",
    },
    rationale: "The session finds no data and fails, or reports the data of an earlier run.",
    evidence: "The coverage job of the pipeline behind the example runs the tests itself because it gets no data from the test jobs; where both run in one job, only the order of the sessions makes it correct.",
    advice: "Let the session require the tests (`requires=[…]` in the noxfile), name it after them in the command (nox runs sessions in the order of the command line), or download their data first. `noxide run` orders it after them automatically.",
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    let Some(noxfile) = &project.noxfile else { return };
    let measuring: Vec<&NoxfileSession> =
        noxfile.sessions().iter().filter(|session| has_coverage_run(session)).collect();
    for view in project.job_views().filter(|_| !measuring.is_empty()) {
        // noxide orders the sessions itself; downloaded files may contain the data.
        if view.analysis.nox_calls.iter().any(|call| call.parsed.is_noxide) || has_downloaded_files(&view) {
            continue;
        }
        // One session for each job of the matrix: the other sessions run in other jobs.
        let is_one_per_job = view.matrix_session_expression().is_some();
        let ran: Vec<(usize, &str, Span)> = (view.analysis.nox_calls.iter().enumerate())
            .flat_map(|(number, call)| call.sessions.iter().map(move |(name, span)| (number, name.as_str(), *span)))
            .collect();
        for (at, (number, name, span)) in ran.iter().enumerate() {
            let Some(session) = view
                .noxfile_session(name)
                .filter(|session| is_coverage_report_only(session) && session.requires.is_empty())
            else {
                continue;
            };
            let is_measuring = |session: &str| view.noxfile_session(session).is_some_and(has_coverage_run);
            let is_measured_before = ran.iter().take(at).any(|(_, session, _)| is_measuring(session));
            if (is_measured_before && !is_one_per_job) || has_unclear_calls(&view, is_one_per_job) {
                continue;
            }
            let mut later = ran.iter().skip(at + 1).filter(|_| !is_one_per_job);
            let later = later.find(|(_, session, _)| is_measuring(session));
            let message = match later {
                Some((_, session, _)) => format!("`{name}` reports coverage before `{session}` measures it"),
                None => format!("`{name}` reports coverage that no session of this job measures"),
            };
            let finding = findings.report(view.source(), *span, message);
            finding.add_related(&noxfile.source, noxfile.session_span(session), "this session measures nothing itself");
            if let Some((other, _, after)) = later {
                if after != span {
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

/// Whether the job measures coverage in another way, or its matrix chooses sessions in a way that is not known.
fn has_unclear_calls(view: &JobView, is_one_per_job: bool) -> bool {
    let measures = |line: &str| line.contains("coverage run") || line.contains("--cov");
    let mut commands = view.job.steps.iter().flat_map(|step| &step.commands);
    let chooses = view.analysis.nox_calls.iter().any(|call| call.is_selected_by_expression && call.sessions.len() > 1);
    (chooses && !is_one_per_job) || commands.any(|command| measures(&command.command_line()))
}

/// Whether a step downloads or restores files of other jobs.
fn has_downloaded_files(view: &JobView) -> bool {
    view.job.steps.iter().any(|step| {
        let action =
            step.action.as_ref().is_some_and(|action| action.name.contains("download") || action.is_cache_restore());
        let script = step.script.as_ref().is_some_and(|script| script.text.contains(".coverage"));
        action || script
    })
}

fn run_arguments(session: &NoxfileSession) -> impl Iterator<Item = Vec<&str>> {
    session.run_calls().map(|run| run.args.iter().map(String::as_str).collect())
}

/// Whether a session measures coverage.
fn has_coverage_run(session: &NoxfileSession) -> bool {
    run_arguments(session).any(|words| {
        let run = words.windows(2).any(|pair| matches!(pair, ["coverage", "run"]));
        run || words.contains(&"slipcover") || words.iter().any(|word| word.starts_with("--cov"))
    })
}

/// Whether a session only reports coverage that other sessions measured.
fn is_coverage_report_only(session: &NoxfileSession) -> bool {
    let reports = |words: Vec<&str>| {
        words.windows(2).any(|pair| matches!(pair, ["coverage", "report" | "xml" | "html" | "json" | "combine"]))
    };
    !has_coverage_run(session) && run_arguments(session).any(reports)
}
