//! A host that crashes, stops or sends nonsense: sessions are marked crashed, and the run ends.
#![cfg(target_os = "linux")]

use std::time::Duration;

use noxide::project::default_run_data_dir;
use noxide::record::Outcome;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{ChildDeadline as _, Project, RunningNoxide, living_processes, shell_session};

/// Two running sessions and a waiting one; the file `up` has the process id of the host.
fn at_work(mark: &str) -> String {
    format!(
        "@nox.session\ndef tells(session):\n    pathlib.Path('up').write_text(str(os.getppid()))\n    \
         session.run('sleep', '{mark}', external=True)\n"
    ) + &shell_session(
        "heedless",
        &format!("trap '' TERM INT; (setsid sleep {mark} &); echo up > up2; sleep {mark}; sleep {mark}"),
    ) + &shell_session("later", "true")
}

fn crash_host(signal: Signal, how: &str, mark: &str) {
    let project = Project::with_grace("500ms", &at_work(mark));
    let run = RunningNoxide::start(&project, &["-j2", "--retries", "1"]);
    run.wait_for_file("up2");
    let host = run.wait_for_file("up").parse().unwrap();
    kill_process(Pid::from_raw(host).unwrap(), signal).unwrap();
    let result = run.finish();
    assert_eq!(result.code(), 1, "{}", result.text);
    for session in ["tells", "heedless"] {
        let session = result.session(session);
        assert_eq!((session.outcome, session.attempts.len()), (Outcome::Crashed, 1), "{}", result.text);
        // With core dumps enabled, the reason says so as well.
        assert!(session.reason.starts_with(&format!("the process that loaded the noxfile died ({how})")));
    }
    let later = result.session("later");
    assert_eq!(later.outcome, Outcome::Aborted);
    assert!(later.reason.contains("the process that loaded the noxfile died"), "{later:?}");
    let record = result.record();
    assert_eq!((record.exit_code, record.interrupt_cause.as_deref()), (Some(1), Some("host-died")));
    assert!(
        result.text.contains(&format!("died ({how})")) && result.text.contains(": no more sessions can start"),
        "{}",
        result.text
    );
    assert_eq!(living_processes(mark), [""; 0]);
}

#[test]
fn a_killed_host_crashes_its_sessions() {
    crash_host(Signal::KILL, "signal: 9 (SIGKILL)", "631.31");
}

#[test]
fn a_segfaulting_host_crashes_its_sessions() {
    crash_host(Signal::SEGV, "signal: 11 (SIGSEGV)", "632.32");
}

#[test]
fn a_crashed_session_takes_its_processes_with_it() {
    let dies = "@nox.session\ndef dies(session):\n    subprocess.Popen(['sleep', '633.33'], stdout=subprocess.DEVNULL, \
                stderr=subprocess.DEVNULL)\n    os.kill(os.getpid(), signal.SIGSEGV)\n";
    let waits = "while pgrep -f 'sleep 633[.]33' >/dev/null; do sleep 0.05; done; echo gone > gone";
    let project = Project::with_grace("500ms", &(dies.to_owned() + &shell_session("waits", waits)));
    let result = RunningNoxide::run(&project, &["-j1", "--timeout", "20s"]);
    let dies = result.session("dies");
    assert_eq!((result.code(), dies.outcome), (1, Outcome::Crashed), "{}", result.text);
    assert_eq!(dies.reason, "its process was killed by SIGSEGV");
    assert_eq!((result.outcome("waits"), dies.attempts[0].signal), (Outcome::Passed, Some(11)));
}

#[test]
fn a_stopped_host_is_abandoned() {
    let project = Project::with_grace("200ms", &at_work("634.34"));
    let run = RunningNoxide::start(&project, &["-j2", "--timeout", "60s"]);
    run.wait_for_file("up2");
    let host = run.wait_for_file("up").parse().unwrap();
    kill_process(Pid::from_raw(host).unwrap(), Signal::STOP).unwrap();
    run.signal(Signal::TERM);
    let result = run.finish();
    assert_eq!(result.code(), 143, "{}", result.text);
    assert_eq!((result.outcome("tells"), result.outcome("heedless")), (Outcome::Cancelled, Outcome::Cancelled));
    assert!(result.elapsed < Duration::from_secs(30), "{:?}", result.elapsed);
    assert_eq!(living_processes("634.34"), [""; 0]);
    assert!(!std::path::Path::new(&format!("/proc/{host}")).exists(), "the host lives");
}

#[test]
fn the_next_run_cleans_up_after_a_noxide_killed_with_its_host() {
    let project = Project::with_grace("100ms", &at_work("635.35"));
    let run = RunningNoxide::start(&project, &["-j2"]);
    let host = run.wait_for_file("up").parse().unwrap();
    // A traced process cannot start a program once noxide is dead.
    let sleeps = |process: &String| !process.contains("trap") && process.contains("sleep 635.35");
    run.wait_until("three sleeping processes", || {
        (living_processes("635.35").iter().filter(|process| sleeps(process)).count() == 3).then_some(())
    });
    // The first of the two to die must not be cleaned up by the other: noxide is stopped when its host is killed.
    run.signal(Signal::STOP);
    kill_process(Pid::from_raw(host).unwrap(), Signal::KILL).unwrap();
    run.signal(Signal::KILL);
    let result = run.finish();
    assert_eq!(result.status.code(), None);
    assert!(!living_processes("635.35").is_empty(), "tagged processes survive until the next run");
    let result = RunningNoxide::run(&project, &["-s", "later"]);
    assert_eq!(result.code(), 0, "{}", result.text);
    assert_eq!(living_processes("635.35"), [""; 0]);
    let directory = noxide::record::RunStore::open_existing(default_run_data_dir(project.root())).unwrap();
    let dead = directory.read_record(&directory.run_ids()[0]).unwrap();
    assert_eq!((dead.exit_code, dead.interrupt_cause.as_deref()), (None, Some("killed")));
}

#[test]
fn a_living_run_of_another_tree_is_not_recovered() {
    // Both start in the same second, in two projects: their names are similar, their tags differ.
    let (one, other) = (
        Project::with_grace("100ms", &at_work("636.36")),
        Project::with_grace("100ms", &shell_session("works", "sleep 1.5; echo done > done")),
    );
    let (run, living_run) = (RunningNoxide::start(&one, &["-j2"]), RunningNoxide::start(&other, &[]));
    run.wait_for_file("up2");
    run.signal(Signal::KILL);
    run.finish();
    assert_eq!(RunningNoxide::run(&one, &["-s", "later"]).code(), 0);
    let result = living_run.finish();
    assert_eq!((result.code(), result.outcome("works")), (0, Outcome::Passed), "{}", result.text);
}

#[test]
fn concurrent_runs_in_one_tree_do_not_interfere() {
    let project = Project::with_grace("500ms", &shell_session("one", "sleep 0.3"));
    let runs: Vec<_> = (0..6)
        .map(|_| crate::support::run_flags(&project, &[]).stdout(std::process::Stdio::null()).spawn().unwrap())
        .collect();
    for mut run in runs {
        assert_eq!(run.wait_for_end().code(), Some(0));
    }
    let directory = noxide::record::RunStore::open_existing(default_run_data_dir(project.root())).unwrap();
    assert_eq!(directory.newest_records(99).iter().filter(|record| record.exit_code == Some(0)).count(), 6);
}

/// The host's own functions, with a /proc listing in which the child precedes its parent, as after PID wrap-around, and
/// the parent ends between the two.
const SCAN_SCRIPT: &str = r#"
import builtins, ctypes, os, signal, subprocess, sys
exec(sys.stdin.read())
uv_query_pids = set
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
parent = subprocess.Popen(["sh", "-c", "sleep 60 >/dev/null & echo $!; wait"], stdout=subprocess.PIPE)
child = int(parent.stdout.readline())

real = os

class ReversedListing:
    def __getattr__(self, name):
        return getattr(real, name)

    def listdir(self, path):
        return [str(child), str(parent.pid)] if path == "/proc" else real.listdir(path)

def read_child_then_end_parent(path, *args):
    file = builtins.open(path, *args)
    if path == "/proc/%d/stat" % child and parent.returncode is None:
        data = file.read()
        parent.kill()
        parent.wait()
        import io
        return io.BytesIO(data)
    return file

os = ReversedListing()
open = read_child_then_end_parent
print(descendants({real.getpid()}), has_no_descendants())
real.kill(child, signal.SIGKILL)
while is_alive(child):
    pass
print(has_no_descendants())
"#;

#[test]
fn a_process_whose_parent_ends_during_the_scan_is_still_found() {
    let mut python = std::process::Command::new(crate::support::python())
        .args(["-c", SCAN_SCRIPT])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let program = include_bytes!("../../../src/project/host/program/processes.py");
    std::io::Write::write_all(&mut python.stdin.take().unwrap(), program).unwrap();
    let output = python.finish_output();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "set() False\nTrue\n",
        "the scan misses it, and the kernel knows it"
    );
}
