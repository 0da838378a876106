//! The five faults of `nox -j`, and what else a run must live through that nox does not.
#![cfg(target_os = "linux")]

use std::time::Duration;

use noxide::record::Outcome;
use rustix::process::Signal;

use crate::support::{Project, RunningNoxide, living_processes, nox_releases, shell_session};

#[test]
fn a_parameters_that_are_paths_pass_and_reach_the_report() {
    let project = Project::with_grace(
        "500ms",
        "@nox.session\n@nox.parametrize('p', [pathlib.Path('a'), pathlib.Path('b')])\ndef withpath(session, p):\n    \
         session.log('ok %s', p.name)\n",
    );
    let over = RunningNoxide::run(&project, &["-j2", "--report", "r.json"]);
    assert_eq!(over.code(), 0, "{}", over.text);
    assert_eq!(over.outcome("withpath(p=PosixPath('b'))"), Outcome::Passed);
    let report: serde_json::Value = serde_json::from_str(&project.read("r.json")).unwrap();
    assert_eq!(report["sessions"][0]["args"]["p"], "PosixPath('a')");
}

#[test]
fn b_a_leaked_background_process_is_ended_and_nobody_waits_for_it() {
    let script = "sleep 611.11 & echo started; exit 0";
    let project = Project::with_grace("500ms", &(shell_session("leaks", script) + &shell_session("trivial", "true")));
    let over = RunningNoxide::run(&project, &["-j2"]);
    assert_eq!(over.code(), 0, "{}", over.text);
    assert!(over.elapsed < Duration::from_secs(30), "{:?}", over.elapsed);
    assert_eq!(over.outcome("leaks"), Outcome::Passed);
    assert!(over.session("leaks").attempts[0].leaky && !over.session("trivial").attempts[0].leaky);
    assert!(over.text.contains("left a process behind"), "{}", over.text);
    assert_eq!(living_processes("sleep 611.11"), [""; 0]);
}

#[test]
fn a_leak_that_holds_output_which_nox_keeps_is_one_too() {
    let silent = "def {name}(session):\n    said = session.run('sh', '-c', {script}, external=True, silent=True)\n    \
                  print('kept', repr(said))\n";
    let sessions = [("silent", "'echo one; sleep 611.12 & echo two'"), ("slow", "'echo three; sleep 1; echo four'")];
    let sessions = sessions
        .map(|(name, script)| format!("@nox.session\n{}", silent.replace("{name}", name).replace("{script}", script)));
    let project = Project::with_grace("500ms", &sessions.concat());
    let over = RunningNoxide::run(&project, &["-j2", "-v"]);
    assert_eq!(over.code(), 0, "{}", over.text);
    assert!(over.elapsed < Duration::from_secs(30), "{:?}", over.elapsed);
    for (name, leaky, kept) in [("silent", true, "kept 'one\\ntwo\\n'"), ("slow", false, "kept 'three\\nfour\\n'")] {
        assert_eq!((over.outcome(name), over.session(name).attempts[0].leaky), (Outcome::Passed, leaky), "{name}");
        assert!(over.text.contains(kept), "{}", over.text);
    }
    assert_eq!(living_processes("sleep 611.12"), [""; 0]);
}

/// Sessions that heed nothing but SIGKILL, and one whose work leaves its session.
fn stubborn(mark: &str) -> String {
    shell_session("heedless", &format!("trap '' TERM INT HUP; echo up > up1; while :; do sleep {mark}1 & wait; done"))
        + &shell_session("plain", &format!("echo up > up2; sleep {mark}2; true"))
        + &shell_session("away", &format!("echo up > up3; setsid sh -c 'trap \"\" TERM; sleep {mark}3'; true"))
        + &shell_session("waiting", "echo must not run > never")
}

fn c_a_signal_ends_all(signal: Signal, code: i32, mark: &str) {
    let project = Project::with_grace("300ms", &stubborn(mark));
    let run = RunningNoxide::start(&project, &["-j3", "--report", "r.json"]);
    for file in ["up1", "up2", "up3"] {
        run.wait_for_file(file);
    }
    run.signal(signal);
    let over = run.finish();
    assert_eq!(over.code(), code, "{}", over.text);
    assert_eq!(living_processes(mark), [""; 0]);
    let record = over.record();
    assert_eq!(record.exit.map(i32::from), Some(code));
    assert!(record.interrupted.as_ref().unwrap().starts_with("SIG"));
    for session in ["heedless", "plain", "away"] {
        assert_eq!(over.outcome(session), Outcome::Cancelled, "{session}");
    }
    assert_eq!(over.outcome("waiting"), Outcome::Aborted);
    assert!(!project.root().join("never").exists());
    assert!(project.read("r.json").contains("\"aborted\""), "nox's report is written too");
    assert!(over.text.contains("3 cancelled"), "{}", over.text);
}

#[test]
fn c_sigterm_leaves_nobody() {
    c_a_signal_ends_all(Signal::TERM, 143, "612.12");
}

#[test]
fn c_sighup_leaves_nobody() {
    c_a_signal_ends_all(Signal::HUP, 129, "613.13");
}

#[test]
fn d_an_interrupt_ends_by_its_graces_though_a_grandchild_ignores_it() {
    let project = Project::with_grace("700ms", &stubborn("614.14"));
    let run = RunningNoxide::start(&project, &["-j3"]);
    for file in ["up1", "up2", "up3"] {
        run.wait_for_file(file);
    }
    run.signal(Signal::INT);
    let over = run.finish();
    assert_eq!(over.code(), 130, "{}", over.text);
    assert!((Duration::from_millis(1_300)..Duration::from_secs(20)).contains(&over.elapsed), "{:?}", over.elapsed);
    assert_eq!(living_processes("614.14"), [""; 0]);
}

#[test]
fn d_a_second_interrupt_hastens() {
    let project = Project::with_grace("20s", &stubborn("615.15"));
    let run = RunningNoxide::start(&project, &["-j3"]);
    for file in ["up1", "up2", "up3"] {
        run.wait_for_file(file);
    }
    for pause in [0, 300, 300] {
        std::thread::sleep(Duration::from_millis(pause)); // signals that come together may be one
        run.signal(Signal::INT);
    }
    let over = run.finish();
    assert_eq!(over.code(), 130, "{}", over.text);
    assert!(over.elapsed < Duration::from_secs(15), "{:?}", over.elapsed);
    assert_eq!(living_processes("615.15"), [""; 0]);
}

/// A program that tears down on an interrupt: longer than nox itself would wait, and with an exit code of 0.
const TEARS_DOWN: &str = r#"
@nox.session
def tests(session):
    code = '''
import pathlib, sys, time
try:
    pathlib.Path("up").write_text("up")
    time.sleep(616.16)
except KeyboardInterrupt:
    time.sleep(1.5)
    pathlib.Path("cleanup.ok").write_text("done")
    sys.exit(0)
'''
    session.run("python3", "-c", code, external=True)
    pathlib.Path("went-on").write_text("no")

@nox.session
def python_code(session):
    try:
        pathlib.Path("up2").write_text("up")
        time.sleep(616.16)
    finally:
        pathlib.Path("own.ok").write_text("done")
"#;

fn e_an_interrupt_lets_fixtures_be_torn_down(release: Option<&str>) {
    let project = Project::with_grace("20s", TEARS_DOWN);
    let mut command = crate::support::run_flags(&project, &["-j2"]);
    if let Some(release) = release {
        command.env("PYTHONPATH", crate::support::nox_release_path(release));
    }
    let run = RunningNoxide::from_command(&project, command);
    run.wait_for_file("up");
    run.wait_for_file("up2");
    run.signal(Signal::INT);
    let over = run.finish();
    assert_eq!(over.code(), 130, "{}", over.text);
    assert_eq!(project.read("cleanup.ok"), "done");
    assert_eq!(project.read("own.ok"), "done");
    assert!(!project.root().join("went-on").exists(), "an interrupted session goes no further");
    assert!((Duration::from_millis(1_400)..Duration::from_secs(15)).contains(&over.elapsed), "{:?}", over.elapsed);
    for session in ["tests", "python_code"] {
        assert_eq!(over.outcome(session), Outcome::Cancelled, "exit code 0 is no pass for what was told to end");
    }
}

#[test]
fn e_teardown_really_happens() {
    e_an_interrupt_lets_fixtures_be_torn_down(None);
}

#[test]
fn e_teardown_really_happens_on_every_release() {
    std::thread::scope(|scope| {
        for release in nox_releases() {
            scope.spawn(move || e_an_interrupt_lets_fixtures_be_torn_down(Some(release)));
        }
    });
}

#[test]
fn what_a_session_left_in_its_group_has_the_same_graces() {
    // The session's own process is gone at once; its server needs a moment to put its data away.
    let server = "trap 'sleep 1; echo saved > saved; exit' INT TERM; echo up > up; while :; do sleep 0.05; done";
    let project = Project::with_grace(
        "20s",
        &format!(
            "@nox.session\ndef serves(session):\n    subprocess.Popen(['sh', '-c', {server:?}])\n    time.sleep(617.17)\n"
        ),
    );
    let run = RunningNoxide::start(&project, &[]);
    run.wait_for_file("up");
    run.signal(Signal::INT);
    let over = run.finish();
    assert_eq!(over.code(), 130, "{}", over.text);
    assert_eq!(project.read("saved").trim(), "saved");
}
