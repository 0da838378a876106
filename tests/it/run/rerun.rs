//! `--rerun failed`: unfinished sessions of the last run, with their needs.

use std::process::Stdio;

use noxide::record::Outcome;

use crate::support::{ChildDeadline as _, Project, noxide_command, run, send_signal, wait_until};

const SESSIONS: &str = "
@nox.session
def base(session): pass
@nox.session(requires=['base'])
def fails(session):
    if not os.path.exists('fixed'): session.error('no')
@nox.session(requires=['fails'])
def waits(session): pass
@nox.session
def passes(session): pass
@nox.session
def skips(session): session.skip('no')
";

fn names(project: &crate::support::Project) -> Vec<String> {
    project.outcomes().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn failed_and_aborted_sessions_rerun_with_their_needs() {
    let project = Project::with_sessions(SESSIONS);
    assert_eq!(run(&project, "").code(), 1);
    assert_eq!(run(&project, "--rerun failed").code(), 1);
    assert_eq!(names(&project), ["base", "fails", "waits"], "the needs are there, what passed or was skipped is not");
    project.write("fixed", "");
    let again = run(&project, "--rerun failed");
    assert_eq!(again.code(), 0, "{}", again.text);
    assert!(project.outcomes().iter().all(|(_, outcome)| *outcome == Some(Outcome::Passed)));
    let nothing = run(&project, "--rerun failed");
    assert_eq!(nothing.code(), 0, "{}", nothing.text);
    assert_eq!(nothing.text.lines().count(), 1, "{}", nothing.text);
    assert!(nothing.text.starts_with("nothing to rerun: in run "), "{}", nothing.text);
}

#[test]
fn a_selection_narrows_a_rerun() {
    let project = Project::with_sessions(
        "@nox.session\n@nox.parametrize('n', [1, 2])\ndef tests(session, n): session.error('no')\n\
         @nox.session(tags=['style'])\ndef lint(session): session.error('no')\n\
         @nox.session\ndef docs(session): pass\n",
    );
    for (flags, expected) in [
        ("", &["tests(n=1)", "tests(n=2)", "lint", "docs"][..]),
        ("--lf", &["tests(n=1)", "tests(n=2)", "lint"]),
        ("--failed -s tests", &["tests(n=1)", "tests(n=2)"]),
    ] {
        assert_eq!(run(&project, flags).code(), 1);
        assert_eq!(names(&project), expected, "{flags}");
    }
    assert_eq!(run(&project, "").code(), 1);
    assert_eq!(run(&project, "--rerun -t style").code(), 1);
    assert_eq!(names(&project), ["lint"]);
    let passed = run(&project, "--rerun docs");
    assert_eq!((passed.code(), passed.text.contains("every selected session passed")), (0, true), "{}", passed.text);
}

#[test]
fn rerun_without_an_earlier_run_is_an_error() {
    let project = Project::with_sessions(SESSIONS);
    let ran = run(&project, "--rerun failed");
    assert_eq!(ran.code(), 2);
    assert!(ran.text.contains("no run is recorded in"), "{}", ran.text);
    assert!(!project.root().join(".nox/.noxide").exists());
}

const ENDLESS: &str = "@nox.session\ndef done(session): pass\n\
                       @nox.session(requires=['done'])\ndef runs(session):\n    if os.path.exists('fixed'): return\n    \
                       pathlib.Path('up').touch()\n    time.sleep(1000)\n@nox.session(requires=['runs'])\ndef never(session): pass\n";

fn ended_by(signal: &str) {
    let project = Project::with_sessions(ENDLESS);
    let mut command = noxide_command(&project, "run");
    let mut running = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("session", || project.root().join("up").exists().then_some(()));
    send_signal(signal, &running.id().to_string());
    running.wait_for_end();
    project.write("fixed", "");
    let ran = run(&project, "--rerun failed");
    assert_eq!(ran.code(), 0, "{}", ran.text);
    assert_eq!(names(&project), ["done", "runs", "never"]);
}

#[test]
fn cancelled_and_unstarted_sessions_rerun() {
    ended_by("INT");
}

#[test]
fn unfinished_sessions_of_a_killed_noxide_rerun() {
    ended_by("KILL");
}
