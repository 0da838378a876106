//! Readers that stop reading and keep the pipe: the run goes on, signals work, the record is complete.
#![cfg(target_os = "linux")]

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};

use noxide::record::Outcome;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Deadline, Project, living_processes, run_flags, shell_session, wait_until};

/// Prints more than a pipe can hold, then creates a file, then sleeps.
fn loud(mark: &str) -> String {
    shell_session("loud", &format!("yes 'a line of some length' | head -c 3000000; echo up > up; sleep {mark}"))
}

/// A noxide with both streams on one pipe that is not read yet.
fn start(project: &Project, command: &mut Command) -> (Child, std::io::PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let child = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    until("up", || project.root().join("up").exists());
    (child, reader)
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_until(what, || holds().then_some(()));
}

fn end(mut child: Child) -> ExitStatus {
    let mut status = None;
    until("end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

#[test]
fn a_signal_ends_a_run_whose_output_is_not_read() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let project = Project::with_grace("300ms", &loud("617.1"));
        let summary = project.outer_dir().join("summary.md");
        let mut command = run_flags(&project, &["--output", "stream"]);
        command.env("GITHUB_STEP_SUMMARY", &summary);
        let (child, reader) = start(&project, &mut command);
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(end(child).code(), Some(code));
        drop(reader);
        let record = project.newest_record();
        assert_eq!(record.exit_code.map(i32::from), Some(code));
        assert_eq!(record.sessions[0].result.as_ref().unwrap().outcome, Outcome::Cancelled);
        assert!(std::fs::read_to_string(&summary).unwrap().contains("loud"), "its own file is written all the same");
        assert_eq!(living_processes("617.1"), [""; 0]);
    }
}

#[test]
fn time_limits_apply_to_a_session_whose_output_is_not_read() {
    let project = Project::with_grace("300ms", &loud("617.2"));
    let (child, mut reader) = start(&project, &mut run_flags(&project, &["--output", "stream", "--timeout", "2s"]));
    let mut record = None;
    until("record", || {
        record = project.find_newest_record().filter(|record| record.exit_code.is_some());
        record.is_some()
    });
    let record = record.unwrap();
    assert_eq!(record.exit_code, Some(1));
    assert_eq!(record.sessions[0].result.as_ref().unwrap().outcome, Outcome::TimedOut);
    assert_eq!(living_processes("617.2"), [""; 0]);
    let mut text = String::new();
    let deadline = Deadline::abort("the output of noxide");
    reader.read_to_string(&mut text).unwrap();
    drop(deadline);
    assert_eq!(end(child).code(), Some(1));
    let lines = text.lines().filter(|line| *line == "a line of some length").count();
    assert!(lines >= 3_000_000 / "a line of some length\n".len(), "{lines}");
    assert!(text.contains("1 timed-out") && text.trim_end().lines().last().unwrap().starts_with("record: "), "{text}");
}

#[test]
fn a_signal_after_the_last_session_keeps_the_exit_code() {
    let project = Project::with_grace("300ms", &loud("0"));
    let (child, reader) = start(&project, run_flags(&project, &["--output", "stream"]).stdin(Stdio::null()));
    until("record", || project.find_newest_record().is_some_and(|record| record.exit_code.is_some()));
    // The record is written shortly before signals end noxide.
    let mut child = child;
    until("end", || {
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        child.try_wait().unwrap().is_some()
    });
    assert_eq!(end(child).code(), Some(0));
    drop(reader);
}
