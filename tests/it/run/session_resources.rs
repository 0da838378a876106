//! Per-session environment: CPU share, temporary directories, jobserver, measured figures.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use noxide::record::Outcome;

use crate::support::{NoxideRun, Project, noxide_command, run, tool_path};

/// A session that prints its environment, and two that only pass.
const TELLS: &str = "@nox.session\ndef tells(session):\n    for name in sorted(os.environ): print('env', name, os.environ[name])\n\
                     @nox.session\ndef two(session): pass\n@nox.session\ndef three(session): pass\n";

fn variable(log: &str, name: &str) -> Option<String> {
    log.lines().find_map(|line| line.strip_prefix(&format!("env {name} "))).map(str::to_owned)
}

/// A directory with a `make` that reports this version.
fn make_of(project: &Project, version: &str) -> PathBuf {
    let directory = project.outer_dir().join("bin");
    std::fs::create_dir_all(&directory).unwrap();
    let make = directory.join("make");
    fs_err::write(&make, format!("#!/bin/sh\necho 'GNU Make {version}'\n")).unwrap();
    fs_err::set_permissions(&make, PermissionsExt::from_mode(0o755)).unwrap();
    directory
}

fn path_with(directory: &Path) -> std::ffi::OsString {
    let first = directory.as_os_str().to_owned();
    std::env::join_paths(std::iter::once(PathBuf::from(first)).chain(std::env::split_paths(&tool_path()))).unwrap()
}

#[test]
fn sessions_get_their_slot_and_worker_share() {
    let project = Project::with_sessions(TELLS);
    assert_eq!(run(&project, "-j 4").code(), 0);
    let log = project.session_log("tells");
    assert_eq!(variable(&log, "NOXIDE_SESSION").as_deref(), Some("tells"));
    assert_eq!(variable(&log, "NOXIDE_SLOT").as_deref(), Some("0"));
    for name in ["PYTEST_XDIST_AUTO_NUM_WORKERS", "TEST_PROCESSES", "PABOT_PROCESSES"] {
        assert_eq!(variable(&log, name).as_deref(), Some("1"), "{name}: three sessions on four slots");
    }
    assert_eq!(run(&project, "-j 4 -s tells").code(), 0);
    assert_eq!(variable(&project.session_log("tells"), "TEST_PROCESSES").as_deref(), Some("4"), "alone in its run");
}

#[test]
fn worker_variables_of_the_user_are_kept() {
    let project = Project::with_sessions(TELLS);
    project.write(
        "noxide.toml",
        "[sessions.tells]\ncpus = 2\nenv = { TMPDIR = '.', PABOT_PROCESSES = '7', MAKEFLAGS = '-k' }\n",
    );
    let mut command = noxide_command(&project, "run -j 4");
    command.env("TEST_PROCESSES", "9");
    assert_eq!(NoxideRun::finish(&mut command).code(), 0);
    let log = project.session_log("tells");
    for (name, value) in [
        ("TEST_PROCESSES", "9"),
        ("PABOT_PROCESSES", "7"),
        ("PYTEST_XDIST_AUTO_NUM_WORKERS", "2"),
        ("TMPDIR", "."),
        ("MAKEFLAGS", "-k"),
    ] {
        assert_eq!(variable(&log, name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn sessions_that_mostly_wait_share_all_slots() {
    let project = Project::with_sessions(
        "@nox.session\ndef sleeps(session):\n    print('share', os.environ['TEST_PROCESSES'])\n    time.sleep(0.5)\n\
         @nox.session\ndef works(session):\n    print('share', os.environ['TEST_PROCESSES'])\n    until = time.process_time() + 0.5\n    \
         while time.process_time() < until: pass\n@nox.session\ndef more(session):\n    until = time.process_time() + 0.5\n    \
         while time.process_time() < until: pass\n",
    );
    assert_eq!(run(&project, "-j 2").code(), 0);
    assert!(project.session_log("sleeps").contains("share 1"), "nothing is known of it");
    let sessions = project.newest_record().sessions;
    let attempt = |at: usize| sessions[at].result.as_ref().unwrap().last_attempt().unwrap().clone();
    assert!(attempt(0).cpu_ms.unwrap() < 250 && attempt(1).cpu_ms.unwrap() >= 500, "CPU time is measured");
    assert!(attempt(0).peak_memory.unwrap() > 1 << 20, "and memory");
    // Figures of an idle machine, however busy this one was.
    let path = project.newest_run_dir().join("record.json");
    let mut known = project.newest_record();
    for (session, cpu) in known.sessions.iter_mut().zip([100, 1_000, 1_000]) {
        let last = &mut session.result.as_mut().unwrap().attempts[0];
        (last.start, last.end, last.cpu_ms) = (0, 1_000, Some(cpu));
    }
    fs_err::write(path, serde_json::to_vec(&known).unwrap()).unwrap();
    assert_eq!(run(&project, "-j 2").code(), 0);
    assert!(project.session_log("sleeps").contains("share 2"));
    assert!(project.session_log("works").contains("share 1"));
}

#[test]
fn cpu_time_and_memory_of_grandchildren_are_recorded() {
    let project = Project::with_sessions(
        "@nox.session\ndef eats(session):\n    code = 'import time; b = bytearray(90 << 20)\\nwhile time.process_time() < 0.4: pass'\n    \
         session.run('sh', '-c', f'{sys.executable} -c \"{code}\"; true', external=True)\n",
    );
    let ran = run(&project, "");
    assert_eq!(ran.code(), 0, "{}", ran.text);
    let record = project.newest_record();
    let attempt = record.sessions[0].result.as_ref().unwrap().last_attempt().unwrap();
    assert!((400..20_000).contains(&attempt.cpu_ms.unwrap()), "{attempt:?}");
    assert!((90 << 20..1 << 30).contains(&attempt.peak_memory.unwrap()), "{attempt:?}");
}

const TEMPORARY: &str = "@nox.session\ndef good(session):\n    place = pathlib.Path(os.environ['TMPDIR'])\n    print('place', place)\n    \
     (place / 'deep').mkdir()\n    (place / 'deep' / 'file').write_text('x')\n    \
     listener = socket.socket(socket.AF_UNIX)\n    listener.bind(str(place / ('s' * 40)))\n\
     @nox.session\ndef empty(session): print('place', os.environ['TMPDIR'])\n\
     @nox.session\ndef bad(session):\n    place = pathlib.Path(os.environ['TMPDIR'])\n    print('place', place)\n    \
     (place / 'evidence').write_text('x')\n    session.error('no')\n";

fn temp_dir_of(project: &Project, session: &str) -> PathBuf {
    let log = project.session_log(session);
    log.lines().find_map(|line| line.strip_prefix("place ")).unwrap_or_else(|| panic!("{log}")).into()
}

#[test]
fn each_session_has_a_directory_for_temporary_files() {
    let project = Project::with_sessions(TEMPORARY);
    project.write("noxide.toml", "keep-runs = 1\n");
    assert_eq!(run(&project, "").code(), 1);
    let (good, empty, bad) =
        (temp_dir_of(&project, "good"), temp_dir_of(&project, "empty"), temp_dir_of(&project, "bad"));
    assert!(good != bad && good != empty && good.parent() == bad.parent(), "{} {}", good.display(), bad.display());
    assert!(!good.exists() && !empty.exists(), "they passed");
    assert!(bad.join("evidence").exists(), "it failed: somebody will want to look");
    assert_eq!(fs_err::metadata(bad.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    let root = bad.parent().unwrap();
    assert_eq!(
        fs_err::read_to_string(project.newest_run_dir().join("temporary-directory")).unwrap(),
        root.to_str().unwrap()
    );
    assert_eq!(run(&project, "-s good").code(), 0);
    assert!(!root.exists(), "the run it belongs to is pruned");
    assert!(!temp_dir_of(&project, "good").parent().unwrap().exists(), "nothing is kept of a run that passed");
    assert!(!project.newest_run_dir().join("temporary-directory").exists());
}

#[test]
fn without_temporary_directories_sessions_share_that_of_the_system() {
    let project = Project::with_sessions(TELLS);
    let long = project.outer_dir().join("long".repeat(20));
    fs_err::create_dir(&long).unwrap();
    let mut command = noxide_command(&project, "run -s tells");
    command.env("TMPDIR", &long);
    let ran = NoxideRun::finish(&mut command);
    assert_eq!(ran.code(), 0, "{}", ran.text);
    assert!(ran.text.contains("cannot create a temporary directory for each session"), "{}", ran.text);
    let log = project.session_log("tells");
    assert_eq!(variable(&log, "TMPDIR"), long.to_str().map(str::to_owned));
    assert_eq!(variable(&log, "MAKEFLAGS"), None);
    assert_eq!(fs_err::read_dir(&long).unwrap().count(), 0);
}

#[test]
fn sessions_share_one_jobserver_and_return_tokens() {
    let project = Project::with_sessions(
        "def tokens():\n    auth = os.environ['MAKEFLAGS'].split('fifo:')[1]\n    fifo = os.open(auth, os.O_RDONLY | os.O_NONBLOCK)\n    \
         return len(os.read(fifo, 99))\n@nox.session\ndef one(session):\n    print('took', tokens(), os.environ['MAKEFLAGS'])\n\
         @nox.session(requires=['one'])\ndef two(session): print('took', tokens())\n",
    );
    let mut command = noxide_command(&project, "run -j 3");
    command.env("PATH", path_with(&make_of(&project, "4.4.1")));
    let ran = NoxideRun::finish(&mut command);
    assert_eq!(ran.code(), 0, "{}", ran.text);
    let log = project.session_log("one");
    assert!(log.contains("took 2  -j3 --jobserver-auth=fifo:"), "{log}");
    assert!(project.session_log("two").contains("took 2"), "who took them is gone, they are not");
}

#[test]
fn a_make_without_named_pipe_support_gets_no_jobserver() {
    let project = Project::with_sessions(TELLS);
    let mut command = noxide_command(&project, "run -s tells");
    command.env("PATH", path_with(&make_of(&project, "4.3")));
    assert_eq!(NoxideRun::finish(&mut command).code(), 0);
    assert_eq!(variable(&project.session_log("tells"), "MAKEFLAGS"), None);
}

#[test]
fn a_real_make_works_under_noxide() {
    let project = Project::with_sessions("@nox.session\ndef makes(session): session.run('make', external=True)\n");
    project.write("Makefile", "all: a b c\n\ta='$(MAKEFLAGS)'; echo \"made $$a\"\na b c:\n\techo $@\n");
    if std::process::Command::new("make").arg("--version").output().is_err() {
        return;
    }
    let ran = run(&project, "");
    assert_eq!(ran.code(), 0, "{}", ran.text);
    let log = project.session_log("makes");
    assert!(log.contains("made") && !log.contains("jobserver unavailable"), "{log}");
    assert_eq!(project.outcomes(), [("makes".to_owned(), Some(Outcome::Passed))]);
}
