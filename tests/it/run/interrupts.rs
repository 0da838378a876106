//! Ctrl-C as in nox: a command that answers it with exit code 0 was successful, and nox's own timeouts are kept.

use std::os::unix::process::CommandExt as _;
use std::time::Duration;

use noxide::record::Outcome;
use rustix::process::Signal;

use crate::support::{
    ChildDeadline as _, Project, RunningNoxide, nox_release_path, nox_releases, run_flags, send_signal, wait_until,
};

/// A session with a server that exits with 0 on SIGINT, and one more step.
const SERVE: &str = "
SERVER = '''
import pathlib, sys, time
try:
    pathlib.Path('up').write_text('up')
    time.sleep(619.19)
except KeyboardInterrupt:
    sys.exit(0)
'''
@nox.session
def serve(session):
    session.run('python3', '-c', SERVER, external=True)
    pathlib.Path('went-on').write_text('yes')
";

/// A session whose command does this with signals; it runs with these arguments of `session.run`.
fn command_session(setup: &str, arguments: &str) -> String {
    format!(
        "CODE = '''\nimport pathlib, signal, sys, time\n{setup}\npathlib.Path('up').write_text('up')\nwhile True: time.sleep(619.19)\n'''\n\
         @nox.session\ndef slow(session):\n    session.run('python3', '-c', CODE, external=True{arguments})\n"
    )
}

#[test]
fn a_server_that_answers_an_interrupt_is_successful_as_in_nox() {
    let check = |release: Option<&str>| {
        let release = release.map(nox_release_path);
        let project = Project::with_sessions(SERVE);
        let mut nox = project.command("nox");
        nox.envs(release.iter().map(|path| ("PYTHONPATH", path))).process_group(0);
        let mut nox = nox.spawn().unwrap();
        wait_until("the server", || std::fs::read_to_string(project.root().join("up")).ok().filter(|up| up == "up"));
        send_signal("INT", &format!("-{}", nox.id()));
        assert_eq!((nox.wait_for_end().code(), project.read("went-on").as_str()), (Some(0), "yes"), "nox");
        let project = Project::with_sessions(SERVE);
        let mut noxide = run_flags(&project, &[]);
        noxide.envs(release.iter().map(|path| ("PYTHONPATH", path)));
        let run = RunningNoxide::from_command(&project, noxide);
        run.wait_for_file("up");
        run.signal(Signal::INT);
        let result = run.finish();
        assert_eq!((result.code(), project.read("went-on").as_str()), (0, "yes"), "{}", result.text);
        assert_eq!(result.outcome("serve"), Outcome::Passed);
    };
    check(None);
    for release in nox_releases() {
        check(Some(release));
    }
}

#[test]
fn the_run_is_interrupted_if_a_session_did_not_start() {
    let project = Project::with_sessions(&format!("{SERVE}@nox.session\ndef later(session): pass\n"));
    let run = RunningNoxide::start(&project, &["-j1"]);
    run.wait_for_file("up");
    run.signal(Signal::INT);
    let result = run.finish();
    assert_eq!(result.code(), 130, "{}", result.text);
    assert_eq!((result.outcome("serve"), result.outcome("later")), (Outcome::Passed, Outcome::Aborted));
    let notifies = "    session.notify('later')\n@nox.session(default=False)\ndef later(session): pass\n";
    let project = Project::with_sessions(&format!("{SERVE}{notifies}"));
    let run = RunningNoxide::start(&project, &[]);
    run.wait_for_file("up");
    run.signal(Signal::INT);
    let result = run.finish();
    assert_eq!((result.code(), result.outcomes().len()), (130, 1), "{}", result.text);
}

#[test]
fn a_session_in_a_process_of_its_own_goes_on_too() {
    let threads = "import threading\nthreading.Thread(target=time.sleep, args=(3,), daemon=True).start()\n";
    let project = Project::with_sessions(&format!("{threads}{SERVE}"));
    let run = RunningNoxide::start(&project, &[]);
    run.wait_for_file("up");
    run.signal(Signal::INT);
    let result = run.finish();
    assert_eq!((result.code(), result.outcome("serve")), (0, Outcome::Passed), "{}", result.text);
}

#[test]
fn a_second_interrupt_reaches_a_session_that_went_on() {
    let more = "    session.run('sh', '-c', 'echo up > up2; exec sleep 619.19', external=True)\n";
    let project = Project::with_sessions(&format!("{SERVE}{more}"));
    let run = RunningNoxide::start(&project, &[]);
    run.wait_for_file("up");
    run.signal(Signal::INT);
    run.wait_for_file("up2");
    run.signal(Signal::INT);
    let result = run.finish();
    assert_eq!((result.code(), result.outcome("serve")), (130, Outcome::Cancelled), "{}", result.text);
    assert!(result.elapsed < Duration::from_secs(9), "SIGINT was enough: {:?}", result.elapsed);
}

#[test]
fn only_an_interrupt_by_the_user_lets_a_session_go_on() {
    for (flags, signal) in [(&["--timeout", "3s"][..], None), (&[][..], Some(Signal::TERM))] {
        let project = Project::with_sessions(SERVE);
        let run = RunningNoxide::start(&project, flags);
        run.wait_for_file("up");
        if let Some(signal) = signal {
            run.signal(signal);
        }
        let result = run.finish();
        let outcome = if signal.is_some() { Outcome::Cancelled } else { Outcome::TimedOut };
        assert_eq!(result.outcome("serve"), outcome, "{}", result.text);
        assert!(!project.root().join("went-on").exists(), "a session that was ended does nothing more");
    }
}

#[test]
fn longer_timeouts_of_the_noxfile_are_not_cut() {
    let setup = "def save(*_):\n    time.sleep(3)\n    pathlib.Path('saved').write_text('yes')\n    sys.exit(3)\n\
                 signal.signal(signal.SIGINT, save)";
    let stop_by_user: &dyn Fn(&RunningNoxide) = &|run| run.signal(Signal::INT);
    let stop_by_limit: &dyn Fn(&RunningNoxide) = &|_| {};
    for (timeout, flags, stop) in [
        ("30", &[][..], stop_by_user),
        ("None", &[][..], stop_by_user),
        ("30", &["--timeout", "3s"][..], stop_by_limit),
    ] {
        let project = Project::with_grace("300ms", &command_session(setup, &format!(", interrupt_timeout={timeout}")));
        let run = RunningNoxide::start(&project, flags);
        run.wait_for_file("up");
        stop(&run);
        let result = run.finish();
        assert_eq!(project.read("saved"), "yes", "interrupt_timeout={timeout}: {}", result.text);
        assert!(result.outcome("slow").is_failure());
    }
}

#[test]
fn shorter_timeouts_of_the_noxfile_end_a_command_early() {
    let setup = "for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, signal.SIG_IGN)";
    let arguments = ", interrupt_timeout=0.5, terminate_timeout=0.5";
    let project = Project::with_grace("60s", &command_session(setup, arguments));
    let run = RunningNoxide::start(&project, &[]);
    run.wait_for_file("up");
    run.signal(Signal::INT);
    let result = run.finish();
    assert_eq!((result.code(), result.outcome("slow")), (130, Outcome::Cancelled), "{}", result.text);
    assert!(result.elapsed < Duration::from_secs(30), "{:?}", result.elapsed);
}
