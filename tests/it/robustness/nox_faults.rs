//! The five faults of `nox -j`, and other conditions that a run survives and nox does not.
#![cfg(target_os = "linux")]

use std::time::Duration;

use noxide::record::Outcome;
use rustix::process::Signal;

use crate::support::{Project, RunningNoxide, living_processes, nox_releases, shell_session};

#[test]
fn parameters_that_are_paths_reach_the_report() {
    let project = Project::with_grace(
        "500ms",
        "@nox.session\n@nox.parametrize('p', [pathlib.Path('a'), pathlib.Path('b')])\ndef withpath(session, p):\n    \
         session.log('ok %s', p.name)\n",
    );
    let result = RunningNoxide::run(&project, &["-j2", "--report", "r.json"]);
    assert_eq!(result.code(), 0, "{}", result.text);
    assert_eq!(result.outcome("withpath(p=PosixPath('b'))"), Outcome::Passed);
    let report: serde_json::Value = serde_json::from_str(&project.read("r.json")).unwrap();
    assert_eq!(report["sessions"][0]["args"]["p"], "PosixPath('a')");
}

#[test]
fn a_leaked_background_process_is_ended_without_waiting() {
    let script = "sleep 611.11 & echo started; exit 0";
    let project = Project::with_grace("500ms", &(shell_session("leaks", script) + &shell_session("trivial", "true")));
    let result = RunningNoxide::run(&project, &["-j2"]);
    assert_eq!(result.code(), 0, "{}", result.text);
    assert!(result.elapsed < Duration::from_secs(30), "{:?}", result.elapsed);
    assert_eq!(result.outcome("leaks"), Outcome::Passed);
    assert!(result.session("leaks").attempts[0].leaky && !result.session("trivial").attempts[0].leaky);
    assert!(result.text.contains("left processes running"), "{}", result.text);
    assert_eq!(living_processes("sleep 611.11"), [""; 0]);
}

#[test]
fn a_leak_that_holds_captured_output_is_reported() {
    let silent = "def {name}(session):\n    said = session.run('sh', '-c', {script}, external=True, silent=True)\n    \
                  print('kept', repr(said))\n";
    let sessions = [("silent", "'echo one; sleep 611.12 & echo two'"), ("slow", "'echo three; sleep 1; echo four'")];
    let sessions = sessions
        .map(|(name, script)| format!("@nox.session\n{}", silent.replace("{name}", name).replace("{script}", script)));
    let project = Project::with_grace("500ms", &sessions.concat());
    let result = RunningNoxide::run(&project, &["-j2", "-v"]);
    assert_eq!(result.code(), 0, "{}", result.text);
    assert!(result.elapsed < Duration::from_secs(30), "{:?}", result.elapsed);
    for (name, leaky, kept) in [("silent", true, "kept 'one\\ntwo\\n'"), ("slow", false, "kept 'three\\nfour\\n'")] {
        assert_eq!((result.outcome(name), result.session(name).attempts[0].leaky), (Outcome::Passed, leaky), "{name}");
        assert!(result.text.contains(kept), "{}", result.text);
    }
    assert_eq!(living_processes("sleep 611.12"), [""; 0]);
}

/// Sessions that ignore all signals except SIGKILL, and one with a child that leaves its process session.
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
    let result = run.finish();
    assert_eq!(result.code(), code, "{}", result.text);
    assert_eq!(living_processes(mark), [""; 0]);
    let record = result.record();
    assert_eq!(record.exit_code.map(i32::from), Some(code));
    assert!(record.interrupt_cause.as_ref().unwrap().starts_with("SIG"));
    for session in ["heedless", "plain", "away"] {
        assert_eq!(result.outcome(session), Outcome::Cancelled, "{session}");
    }
    assert_eq!(result.outcome("waiting"), Outcome::Aborted);
    assert!(!project.root().join("never").exists());
    assert!(project.read("r.json").contains("\"aborted\""), "nox's report is written too");
    assert!(result.text.contains("3 cancelled"), "{}", result.text);
}

#[test]
fn sigterm_leaves_no_process() {
    c_a_signal_ends_all(Signal::TERM, 143, "612.12");
}

#[test]
fn sighup_leaves_no_process() {
    c_a_signal_ends_all(Signal::HUP, 129, "613.13");
}

#[test]
fn an_interrupt_ends_within_its_grace_periods_though_a_grandchild_ignores_it() {
    let project = Project::with_grace("700ms", &stubborn("614.14"));
    let run = RunningNoxide::start(&project, &["-j3"]);
    for file in ["up1", "up2", "up3"] {
        run.wait_for_file(file);
    }
    run.signal(Signal::INT);
    let result = run.finish();
    assert_eq!(result.code(), 130, "{}", result.text);
    assert!((Duration::from_millis(1_300)..Duration::from_secs(20)).contains(&result.elapsed), "{:?}", result.elapsed);
    assert_eq!(living_processes("614.14"), [""; 0]);
}

#[test]
fn a_second_interrupt_ends_grace_periods() {
    let project = Project::with_grace("20s", &stubborn("615.15"));
    let run = RunningNoxide::start(&project, &["-j3"]);
    for file in ["up1", "up2", "up3"] {
        run.wait_for_file(file);
    }
    for pause in [0, 300, 300] {
        std::thread::sleep(Duration::from_millis(pause)); // signals that arrive together may be merged
        run.signal(Signal::INT);
    }
    let result = run.finish();
    assert_eq!(result.code(), 130, "{}", result.text);
    assert!(result.elapsed < Duration::from_secs(15), "{:?}", result.elapsed);
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
    pathlib.Path("went-on").write_text("yes")

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
    let result = run.finish();
    assert_eq!(result.code(), 130, "{}", result.text);
    assert_eq!(project.read("cleanup.ok"), "done");
    assert_eq!(project.read("own.ok"), "done");
    assert_eq!(project.read("went-on"), "yes", "as in nox, a session goes on after a command that exits with 0");
    assert!((Duration::from_millis(1_400)..Duration::from_secs(15)).contains(&result.elapsed), "{:?}", result.elapsed);
    assert_eq!((result.outcome("tests"), result.outcome("python_code")), (Outcome::Passed, Outcome::Cancelled));
}

#[test]
fn an_interrupt_lets_fixtures_tear_down() {
    e_an_interrupt_lets_fixtures_be_torn_down(None);
}

#[test]
fn an_interrupt_lets_fixtures_tear_down_on_every_release() {
    std::thread::scope(|scope| {
        for release in nox_releases() {
            scope.spawn(move || e_an_interrupt_lets_fixtures_be_torn_down(Some(release)));
        }
    });
}

#[test]
fn leaked_group_members_get_the_same_grace_periods() {
    // The process of the session ends at once; its server needs a moment to save its data.
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
    let result = run.finish();
    assert_eq!(result.code(), 130, "{}", result.text);
    assert_eq!(project.read("saved").trim(), "saved");
}
