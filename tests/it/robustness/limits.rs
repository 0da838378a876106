//! Timeouts, silence, retries, failing fast and stops: their effect on sessions and their messages.
#![cfg(target_os = "linux")]

use std::time::Duration;

use noxide::record::{EventKind, Outcome};
use rustix::process::Signal;

use crate::support::{Project, RunningNoxide, living_processes, run_flags, shell_session};

#[test]
fn a_timeout_ends_the_process_tree_and_names_the_running_command() {
    let script = "trap '' INT TERM; echo first; printf 'step \\033[31mtwo\\033[0m of 3'; sleep 621.21";
    let project = Project::with_grace("500ms", &(shell_session("hangs", script) + &shell_session("fine", "true")));
    let over = RunningNoxide::run(&project, &["--timeout", "700ms"]);
    assert_eq!(over.code(), 1, "{}", over.text);
    let hangs = over.session("hangs");
    assert_eq!((hangs.outcome, over.outcome("fine")), (Outcome::TimedOut, Outcome::Passed));
    assert!(hangs.reason.starts_with("still running after its timeout of 700ms; running: sleep 621.21"), "{hangs:?}");
    assert!(hangs.reason.ends_with("last output: step two of 3"), "{hangs:?}");
    assert!(over.text.contains("still running after its timeout"), "{}", over.text);
    assert_eq!(living_processes("621.21"), [""; 0]);
}

#[test]
fn an_idle_timeout_ends_a_silent_session_only() {
    let dots = "for i in 1 2 3 4 5 6 7 8 9 10; do printf '\\r%d' $i; sleep 0.15; done";
    let project = Project::with_grace(
        "500ms",
        &(shell_session("chatty", dots) + &shell_session("silent", "echo a_secret_word; exec sleep 622.22")),
    );
    let mut command = run_flags(&project, &["-j2", "--idle-timeout", "1s"]);
    command.env("MY_TOKEN", "a_secret_word");
    let over = RunningNoxide::from_command(&project, command).finish();
    assert_eq!((over.outcome("chatty"), over.outcome("silent")), (Outcome::Passed, Outcome::TimedOut), "{}", over.text);
    let reason = &over.session("silent").reason;
    assert!(reason.starts_with("no output for its idle timeout of 1s; running: sleep 622.22"), "{reason}");
    assert!(reason.ends_with("last output: ***"), "secrets stay masked: {reason}");
    assert_eq!(living_processes("622.22"), [""; 0]);
}

#[test]
fn the_timeout_of_a_session_overrides_that_of_the_run() {
    let project = Project::with_grace(
        "500ms",
        &(shell_session("slow", "sleep 1.2") + &shell_session("short", "exec sleep 623.23")),
    );
    project.write(
        "noxide.toml",
        "grace-period = '200ms'\ntimeout = '600ms'\n[sessions.slow]\ntimeout = 0\n[sessions.short]\ntimeout = '300ms'\n",
    );
    let result = RunningNoxide::run(&project, &["-j2"]);
    assert_eq!(
        (result.outcome("slow"), result.outcome("short")),
        (Outcome::Passed, Outcome::TimedOut),
        "{}",
        result.text
    );
    assert!(result.session("short").reason.contains("timeout of 300ms"));
}

#[test]
fn a_timed_out_session_with_exit_code_0_has_not_passed() {
    let polite = "trap 'echo bye; exit 0' INT TERM; echo up > up; while :; do sleep 0.05; done";
    let project = Project::with_grace("20s", &shell_session("polite", polite));
    let result = RunningNoxide::run(&project, &["--timeout", "900ms"]);
    let polite = result.session("polite");
    assert_eq!((result.code(), polite.outcome), (1, Outcome::TimedOut), "{}", result.text);
    assert!(
        result.elapsed < Duration::from_secs(15) && String::from_utf8_lossy(&result.log("polite", 1)).contains("bye")
    );
    assert!(!polite.attempts[0].leaky);
}

#[test]
fn a_stopped_process_is_ended_without_waiting_for_its_grace_period() {
    let frozen = "trap 'echo bye; exit 3' INT; (kill -STOP $$) ; sleep 621.21";
    let project = Project::with_grace("20s", &shell_session("frozen", frozen));
    let result = RunningNoxide::run(&project, &["--timeout", "2s"]);
    assert_eq!(result.outcome("frozen"), Outcome::TimedOut, "{}", result.text);
    assert!(result.elapsed < Duration::from_secs(15), "{:?}", result.elapsed);
    assert!(String::from_utf8_lossy(&result.log("frozen", 1)).contains("bye"), "it handled the signal");
}

/// A session that passes on its third attempt.
const THIRD_TIME: &str = "echo x >> tries; test $(wc -l < tries) -ge 3";

#[test]
fn retries_back_off_and_a_late_pass_is_flaky() {
    let project = Project::with_grace(
        "500ms",
        &(shell_session("flaky", THIRD_TIME)
            + &shell_session("hopeless", "sleep 624.24 & false")
            + &shell_session("steady", "true")),
    );
    project.write(
        "noxide.toml",
        "grace-period = '200ms'\nretries = { count = 3, delay = '150ms', backoff = 'exponential' }\n[sessions.hopeless]\nretries = 1\n",
    );
    let result = RunningNoxide::run(&project, &["-j3"]);
    assert_eq!(result.code(), 1, "{}", result.text);
    let (flaky, hopeless) = (result.session("flaky"), result.session("hopeless"));
    assert_eq!((flaky.outcome, flaky.flaky, flaky.attempts.len()), (Outcome::Passed, true, 3));
    assert_eq!((hopeless.outcome, hopeless.flaky, hopeless.attempts.len()), (Outcome::Failed, false, 2));
    assert!(!result.session("steady").flaky);
    let delays: Vec<u64> = project
        .events()
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::SessionRetried { session, delay_ms: delay, .. } if session.as_str() == "flaky" => Some(delay),
            _ => None,
        })
        .collect();
    assert_eq!(delays, [150, 300]);
    let [first, second, third] = &flaky.attempts[..] else { panic!() };
    assert!(second.start >= first.end + 150 && third.start >= second.end + 300, "{flaky:?}");
    assert_eq!([first.outcome, second.outcome, third.outcome], [Outcome::Failed, Outcome::Failed, Outcome::Passed]);
    assert!(result.log("flaky", 2) != result.log("flaky", 3), "each attempt has its own log");
    assert!(result.text.contains("flaky"), "{}", result.text);
    assert_eq!(living_processes("624.24"), [""; 0]);
}

#[test]
fn flaky_can_count_as_failed() {
    let project = Project::with_grace("500ms", &shell_session("flaky", THIRD_TIME));
    let result = RunningNoxide::run(&project, &["--retries", "2", "--flaky-result", "fail"]);
    let flaky = result.session("flaky");
    assert_eq!((result.code(), flaky.outcome, flaky.flaky), (1, Outcome::Failed, true), "{}", result.text);
    assert_eq!(flaky.reason, "flaky: passed on attempt 3, which counts as a failure (--flaky-result fail)");
}

fn failing_fast(mark: &str) -> String {
    // The slow one is up before the other fails.
    shell_session("slow", &format!("echo up > up; sleep {mark} & wait; echo done > done"))
        + &shell_session("fails", "while ! test -s up; do sleep 0.02; done; exit 3")
        + &shell_session("later", "true")
}

#[test]
fn fail_fast_waits_or_kills() {
    for flag in ["-x", "--fail-fast=wait"] {
        let project = Project::with_grace("20s", &failing_fast("1.5"));
        let over = RunningNoxide::run(&project, &["-j2", flag]);
        assert_eq!(over.code(), 1, "{}", over.text);
        let outcomes = ["slow", "fails", "later"].map(|name| over.outcome(name));
        assert_eq!(outcomes, [Outcome::Passed, Outcome::Failed, Outcome::Aborted], "{flag}: {}", over.text);
        assert_eq!(over.session("later").reason, "the run stopped at the first failure");
        assert_eq!(over.record().interrupt_cause.as_deref(), Some("fail-fast"));
    }
    let project = Project::with_grace("300ms", &failing_fast("625.25"));
    let result = RunningNoxide::run(&project, &["-j2", "--fail-fast=kill"]);
    let outcomes = ["slow", "fails", "later"].map(|name| result.outcome(name));
    assert_eq!(outcomes, [Outcome::Cancelled, Outcome::Failed, Outcome::Aborted], "{}", result.text);
    assert_eq!(result.session("slow").reason, "another session failed (--fail-fast=kill)");
    assert_eq!(living_processes("625.25"), [""; 0]);
}

#[test]
fn a_stopped_run_does_not_time_out() {
    let project = Project::with_grace("500ms", &shell_session("works", "echo up > up; sleep 1.2; echo done > done"));
    let run = RunningNoxide::start(&project, &["--timeout", "3s", "--idle-timeout", "3s"]);
    run.wait_for_file("up");
    run.signal(Signal::TSTP);
    run.wait_until("stop", || state(run.pid()).filter(|state| *state == 'T'));
    std::thread::sleep(Duration::from_millis(3_200));
    assert!(!project.root().join("done").exists(), "the session stands still too");
    run.signal(Signal::CONT);
    let result = run.finish();
    assert_eq!((result.code(), result.outcome("works")), (0, Outcome::Passed), "{}", result.text);
    assert!(result.record().wall_ms < 3_000, "{:?}", result.record());
    assert_eq!(project.read("done").trim(), "done");
}

#[test]
fn a_stopped_load_resumes_and_ends() {
    let project = Project::with_grace(
        "500ms",
        &format!("pathlib.Path('up').write_text('up')\ntime.sleep(0.5)\n{}", shell_session("one", "true")),
    );
    let run = RunningNoxide::start(&project, &[]);
    run.wait_for_file("up");
    run.signal(Signal::TSTP);
    run.wait_until("stop", || state(run.pid()).filter(|state| *state == 'T'));
    run.signal(Signal::CONT);
    assert_eq!(run.finish().code(), 0);
}

/// The state of a process in /proc.
fn state(process: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

#[test]
fn a_signal_while_the_noxfile_loads_ends_the_load() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let load = "pathlib.Path('up').write_text('up')\nsubprocess.run(['sleep', '626.26'])\n";
        let project = Project::with_grace("500ms", load);
        for command in ["run", "list"] {
            std::fs::remove_file(project.root().join("up")).ok();
            let mut noxide = project.command(env!("CARGO_BIN_EXE_noxide"));
            noxide.arg(command);
            let run = RunningNoxide::from_command(&project, noxide);
            run.wait_for_file("up");
            run.signal(signal);
            let result = run.finish();
            assert_eq!(result.code(), code, "{}", result.text);
            assert!(result.text.contains("no session was run"), "{}", result.text);
            assert_eq!(living_processes("626.26"), [""; 0]);
        }
    }
}

#[test]
fn a_noxfile_load_that_ignores_interrupts_is_killed_by_its_deadline_or_the_second_interrupt() {
    let load =
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\npathlib.Path('up').write_text('up')\ntime.sleep(627.27)\n";
    for second in [false, true] {
        let project = Project::with_grace("500ms", load);
        let run = RunningNoxide::start(&project, &[]);
        run.wait_for_file("up");
        run.signal(Signal::INT);
        if second {
            std::thread::sleep(Duration::from_millis(200));
            run.signal(Signal::TERM);
        }
        let result = run.finish();
        assert_eq!(result.code(), 130, "{}", result.text);
        assert_eq!(result.elapsed < Duration::from_millis(1_500), second, "{:?}", result.elapsed);
    }
}

#[test]
fn nohup_is_respected() {
    let project = Project::with_grace("500ms", &shell_session("works", "echo up > up; sleep 0.7"));
    let mut command = project.command("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" run", env!("CARGO_BIN_EXE_noxide")]);
    let run = RunningNoxide::from_command(&project, command);
    run.wait_for_file("up");
    run.signal(Signal::HUP);
    let result = run.finish();
    assert_eq!(result.code(), 0, "{}", result.text);
}

#[test]
fn sigusr1_shows_the_status() {
    let project =
        Project::with_grace("500ms", &shell_session("works", "echo up > up; while ! test -s go; do sleep 0.05; done"));
    let run = RunningNoxide::start(&project, &[]);
    run.wait_for_file("up");
    run.signal(Signal::USR1);
    run.wait_until("answer", || {
        let output = std::fs::read_to_string(project.outer_dir().join("out")).unwrap();
        (output.matches("works").count() > 1).then_some(())
    });
    project.write("go", "now");
    assert_eq!(run.finish().code(), 0);
}
