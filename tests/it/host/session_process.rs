//! A session as a process of the host: signals, process groups, terminals, environment, and its end.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use noxide::project::{
    FinishedMessage, Host, HostMessage, HostMessages, HostRunRequest, ManifestIndex, NoxStatus, NoxfileManifest,
};

use crate::support::{
    ChildDeadline as _, CommandDeadline as _, HostArgs, Project, has_ended, next_message, send_signal, wait_until,
};

/// A host whose first session has started.
struct Started {
    project: Project,
    host: Host,
    events: HostMessages,
    pid: u32,
}

impl Started {
    fn new(body: &str, request: impl FnOnce(&mut HostRunRequest)) -> Self {
        let project = Project::with_sessions(body);
        let (mut host, _) = start(&project);
        let mut first = HostRunRequest::new(ManifestIndex(0));
        request(&mut first);
        let log = File::create(project.outer_dir().join("log")).unwrap();
        host.run_session(&first, log.as_fd(), log.as_fd()).unwrap();
        let mut events = host.take_messages();
        let Some(HostMessage::Started { pid, .. }) = next_message(&host, &mut events) else {
            panic!("{}", host.captured_output())
        };
        Self { project, host, events, pid }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.project.outer_dir().join("log")).unwrap()
    }

    /// The log once it holds this text.
    fn wait_for(&self, text: &str) -> String {
        wait_until(&format!("{text:?} in the log"), || Some(self.log()).filter(|log| log.contains(text)))
    }

    fn finished(&mut self) -> FinishedMessage {
        match next_message(&self.host, &mut self.events) {
            Some(HostMessage::Finished(finished)) => finished,
            other => panic!("{other:?}: {}", self.log()),
        }
    }

    fn signal(&self, name: &str) {
        send_signal(name, &format!("-{}", self.pid));
    }
}

fn start(project: &Project) -> (Host, NoxfileManifest) {
    HostArgs::args(&[]).start(project).unwrap_or_else(|error| panic!("{error}\n{}", error.output()))
}

#[test]
fn an_interrupt_lets_the_session_tear_down() {
    let mut started = Started::new(
        "@nox.session\ndef one(session):\n    code = '''import sys, time\ntry:\n    print('up', flush=True)\n    \
         time.sleep(1000)\nexcept KeyboardInterrupt:\n    time.sleep(1)\n    print('torn down', flush=True)\n    sys.exit(7)\n'''\n    \
         session.run('python3', '-c', code, external=True)\n",
        |_| {},
    );
    started.wait_for("\nup\n");
    started.signal("INT");
    let finished = started.finished();
    assert_eq!((finished.status, finished.exit_code), (NoxStatus::Interrupted, Some(0)));
    let log = started.log();
    assert!(log.contains("torn down") && log.contains("Session one interrupted."), "{log}");
}

#[test]
fn a_second_interrupt_skips_the_grace_period() {
    let mut started = Started::new(
        "@nox.session\ndef one(session):\n    code = '''import signal, time\nsignal.signal(signal.SIGINT, lambda *_: print('no', flush=True))\n\
         print('up', flush=True)\nwhile True: time.sleep(1000)\n'''\n    session.run('python3', '-c', code, external=True)\n",
        |_| {},
    );
    started.wait_for("\nup\n");
    started.signal("INT");
    started.wait_for("\nno\n");
    // Two that arrive at once count as one, so more than two are sent.
    let group = format!("-{}", started.pid);
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(400));
                Command::new("kill").args(["-INT", "--", &group]).stderr(Stdio::null()).finish_status();
            }
        });
        let status = started.finished().status;
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(matches!(status, NoxStatus::Interrupted), "{status:?}");
    });
}

#[test]
fn a_grandchild_that_keeps_output_open_delays_nothing() {
    let mut started = Started::new(
        "@nox.session\ndef one(session):\n    pid = os.fork()\n    if pid == 0:\n        time.sleep(1000)\n        \
         os._exit(0)\n    session.log('left %d', pid)\n",
        |_| {},
    );
    let since = Instant::now();
    assert_eq!(started.finished().status, NoxStatus::Success);
    assert!(since.elapsed() < Duration::from_secs(120));
    let log = started.log();
    let left = log.split("left ").nth(1).unwrap().lines().next().unwrap();
    assert!(std::path::Path::new(&format!("/proc/{left}")).exists());
    started.signal("KILL");
    assert!(has_ended(left));
    started.host.close();
}

#[test]
fn a_session_has_its_own_process_group_and_environment() {
    let tmp = tempfile::tempdir().unwrap();
    let temp_dir = tmp.path().display().to_string();
    let mut started = Started::new(
        "tempfile.gettempdir()\nBASE = os.nice(0)\n@nox.session\ndef one(session):\n    facts = (os.getpid(), os.getpgrp(), os.getsid(0))\n    \
         print('alone', len(set(facts)) == 1)\n    print('tmp', tempfile.gettempdir(), os.environ['MINE'])\n    \
         print('nice', os.nice(0) - BASE, sys.stdin.read() == '', session.interactive)\n    \
         print('signals', signal.getsignal(signal.SIGINT).__name__, int(signal.getsignal(signal.SIGTERM)),\n        \
         int(signal.getsignal(signal.SIGCHLD)), sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))\n    \
         print('sockets', sum('socket' in os.path.realpath('/proc/self/fd/' + n) for n in os.listdir('/proc/self/fd')))\n    \
         session.run('sh', '-c', 'echo $MINE $NOX_CURRENT_SESSION; sleep 0.3', external=True)\n    bytearray(60 << 20)\n",
        |request| {
            request.env = vec![("MINE".to_owned(), "m".to_owned()), ("TMPDIR".to_owned(), temp_dir.clone())];
            request.nice = 3;
        },
    );
    let finished = started.finished();
    let log = started.log();
    assert_eq!(finished.status, NoxStatus::Success, "{log}");
    for line in [
        "alone True".to_owned(),
        format!("tmp {temp_dir} m"),
        "nice 3 True False".to_owned(),
        "signals interrupt 0 0 []".to_owned(),
        "sockets 1".to_owned(), // the one to the host
        "m one".to_owned(),
    ] {
        assert!(log.contains(&line), "{line}: {log}");
    }
    assert!(finished.peak_kib > 60 << 10 && finished.peak_kib < 1 << 20, "{finished:?}");
    assert!((300..60_000).contains(&finished.duration_ms), "{finished:?}");
    assert!(finished.cpu_ms < finished.duration_ms, "{finished:?}");
}

#[test]
fn cpu_time_of_what_a_session_waited_for_is_counted() {
    let mut started = Started::new(
        "@nox.session\ndef one(session):\n    code = 'import time\\nwhile time.process_time() < 0.4: pass'\n    \
         session.run('python3', '-c', code, external=True)\n",
        |_| {},
    );
    let finished = started.finished();
    assert!((400..5_000).contains(&finished.cpu_ms), "{finished:?}");
}

const STUBBORN: &str = "@nox.session\ndef one(session):\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    \
                        child = subprocess.Popen(['setsid', 'sleep', '1000'])\n    print('child', child.pid, flush=True)\n    \
                        time.sleep(1000)\n";

#[test]
fn closing_the_host_ends_running_sessions() {
    let started = Started::new(STUBBORN, |_| {});
    let log = started.wait_for("\n").lines().find(|line| line.starts_with("child")).map(ToOwned::to_owned);
    let child = log.unwrap_or_else(|| started.wait_for("child ")).split("child ").nth(1).unwrap().trim().to_owned();
    let pid = started.pid.to_string();
    started.host.close();
    assert!(has_ended(&pid), "the session lives");
    assert!(has_ended(&child), "its child in a session of its own lives");
}

/// The process that [`kill_a_noxide`] starts and kills.
#[test]
#[ignore = "runs as a child of other tests of this module"]
fn victim() {
    let noxfile = std::env::var_os("NOXIDE_TEST_VICTIM").expect("a noxfile from the parent test");
    let started = Started::new(noxfile.to_str().unwrap(), |_| {});
    let child = started.wait_for("child ").split("child ").nth(1).unwrap().lines().next().unwrap().to_owned();
    println!("pids {} {} {child} .", started.host.pid(), started.pid);
    std::thread::sleep(Duration::from_secs(1000));
}

/// Starts this test program as another noxide, waits for a line, kills it, and returns the process ids in the line.
fn kill_a_noxide(noxfile: &str, mark: impl Fn(&Path) -> Option<String>, out: &Path) -> Vec<String> {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["host::session_process::victim", "--exact", "--ignored", "--nocapture"])
        .env("NOXIDE_TEST_VICTIM", noxfile)
        .stdout(File::create(out).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let line = wait_until("line with process ids", || mark(out).filter(|line| line.contains(" .")));
    victim.kill().unwrap();
    victim.wait_for_end();
    line.split(" .").next().unwrap().split_whitespace().map(ToOwned::to_owned).collect()
}

#[test]
fn a_host_whose_noxide_is_killed_ends_everything() {
    let directory = tempfile::tempdir().unwrap();
    let read_pids = |out: &Path| std::fs::read_to_string(out).ok()?.split("pids ").nth(1).map(ToOwned::to_owned);
    let pids = kill_a_noxide(STUBBORN, read_pids, &directory.path().join("out"));
    assert_eq!(pids.len(), 3);
    for pid in pids {
        assert!(has_ended(&pid), "{pid} lives");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_noxfile_that_never_finishes_loading_ends_with_noxide() {
    let directory = tempfile::tempdir().unwrap();
    let pid_file = directory.path().join("told");
    let noxfile = format!("pathlib.Path({pid_file:?}).write_text('%d .' % os.getpid())\ntime.sleep(1000)\n");
    let read_pids = |_: &Path| std::fs::read_to_string(&pid_file).ok();
    let pids = kill_a_noxide(&noxfile, read_pids, &directory.path().join("out"));
    assert!(has_ended(&pids[0]), "{} lives", pids[0]);
}

#[test]
fn a_host_that_does_not_exit_is_killed() {
    let started = Started::new(
        "import atexit\natexit.register(time.sleep, 1000)\n@nox.session\ndef one(session): pass\n",
        |_| {},
    );
    let host = started.host.pid().to_string();
    started.host.close();
    assert!(has_ended(&host));
}

#[test]
fn a_killed_host_ends_the_stream() {
    let mut started = Started::new("@nox.session\ndef one(session): time.sleep(1000)\n", |_| {});
    send_signal("KILL", &started.host.pid().to_string());
    assert_eq!(next_message(&started.host, &mut started.events), None);
    started.signal("KILL");
}

#[test]
fn a_terminated_host_ends_its_sessions() {
    let started = Started::new("@nox.session\ndef one(session): time.sleep(1000)\n", |_| {});
    send_signal("TERM", &started.host.pid().to_string());
    assert!(has_ended(&started.pid.to_string()));
}

#[test]
fn exit_hooks_run_once_where_they_belong() {
    let mut started = Started::new(
        "import atexit, weakref\nclass Thing: pass\nthing = Thing()\n\
         atexit.register(lambda: pathlib.Path('hook').open('a').write('noxfile\\n'))\n\
         weakref.finalize(thing, lambda: pathlib.Path('hook').open('a').write('final\\n'))\n\
         @nox.session\ndef one(session):\n    import threading\n    \
         atexit.register(lambda: pathlib.Path('hook').open('a').write('session\\n'))\n    \
         threading.Thread(target=lambda: (time.sleep(0.2), pathlib.Path('hook').open('a').write('thread\\n'))).start()\n",
        |_| {},
    );
    assert_eq!(started.finished().status, NoxStatus::Success);
    assert_eq!(started.project.read("hook"), "thread\nsession\n");
    started.host.close();
    assert_eq!(started.project.read("hook"), "thread\nsession\nfinal\nnoxfile\n");
}

#[test]
fn a_request_for_an_unknown_session_is_answered() {
    let project = Project::with_sessions("@nox.session\ndef one(session): pass\n");
    let (mut host, _) = start(&project);
    let log = File::create(project.outer_dir().join("log")).unwrap();
    host.run_session(&HostRunRequest::new(ManifestIndex(7)), log.as_fd(), log.as_fd()).unwrap();
    host.run_session(&HostRunRequest::new(ManifestIndex(0)), log.as_fd(), log.as_fd()).unwrap();
    let finished: Vec<_> = host
        .take_messages()
        .filter_map(|message| match message {
            HostMessage::Finished(finished) => Some((finished.id.0, finished.status)),
            _ => None,
        })
        .take(2)
        .collect();
    assert!(finished.contains(&(0, NoxStatus::Success)), "{finished:?}");
    assert!(finished.iter().any(|(id, status)| *id == 7 && *status != NoxStatus::Success), "{finished:?}");
    host.close();
}
