//! Work of the host ahead of sessions: preforked processes, and the query to uv.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use noxide::project::{Host, HostMessage, HostMessages, HostRunRequest, ManifestIndex, NoxStatus};

use crate::support::{HostArgs, Project, has_ended, next_message, run_host, send_signal, wait_until, write_script};

const THREE: &str = "import nox, os, pathlib, time\nnox.options.default_venv_backend = 'none'\n\
                     def wait(name):\n    while not pathlib.Path(name).exists():\n        time.sleep(0.01)\n\
                     @nox.session\ndef one(session):\n    wait('over')\n\
                     @nox.session\ndef two(session):\n    print('mine', os.environ['MINE'], os.getpid() == os.getpgrp())\n\
                     @nox.session\ndef three(session):\n    pass\n";

/// A host whose sessions are started one by one.
struct Sessions {
    project: Project,
    host: Host,
    events: HostMessages,
    first: u32,
}

impl Sessions {
    /// Starts the first session and announces this many more.
    fn new(more: usize) -> Self {
        let project = Project::new(THREE);
        let (mut host, _) = HostArgs::args(&[]).start(&project).unwrap_or_else(|error| panic!("{error}"));
        let events = host.take_messages();
        let mut sessions = Self { project, host, events, first: 0 };
        sessions.first = sessions.start(0, more);
        sessions
    }

    /// Starts a session and returns its process id.
    fn start(&mut self, id: usize, more: usize) -> u32 {
        let log = File::create(self.project.outer_dir().join(format!("log-{id}"))).unwrap();
        let env = vec![("MINE".to_owned(), format!("m{id}"))];
        let request = HostRunRequest { env, remaining_starts: more, ..HostRunRequest::new(ManifestIndex(id)) };
        self.host.run_session(&request, log.as_fd(), log.as_fd()).unwrap();
        match next_message(&self.host, &mut self.events) {
            Some(HostMessage::Started { id: started, pid }) if started == ManifestIndex(id) => pid,
            other => panic!("{other:?}: {}", self.host.captured_output()),
        }
    }

    fn passes(&mut self, id: usize) {
        match next_message(&self.host, &mut self.events) {
            Some(HostMessage::Finished(finished)) if finished.id == ManifestIndex(id) => {
                assert_eq!(finished.status, NoxStatus::Success, "{}", self.log(id));
            }
            other => panic!("{other:?}: {}", self.log(id)),
        }
    }

    /// Lets the first session end.
    fn close(mut self) {
        File::create(self.project.root().join("over")).unwrap();
        self.passes(0);
        self.host.close();
    }

    fn log(&self, id: usize) -> String {
        std::fs::read_to_string(self.project.outer_dir().join(format!("log-{id}"))).unwrap()
    }

    fn children(&self) -> BTreeSet<u32> {
        let host = self.host.pid();
        let children = std::fs::read_to_string(format!("/proc/{host}/task/{host}/children")).unwrap();
        children.split_whitespace().map(|child| child.parse().unwrap()).collect()
    }

    /// Waits until the host has this many children, and returns them.
    fn wait_for(&self, count: usize) -> BTreeSet<u32> {
        wait_until(&format!("{count} children"), || Some(self.children()).filter(|children| children.len() == count))
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_session_runs_in_a_preforked_process() {
    let mut sessions = Sessions::new(2);
    let ahead = sessions.wait_for(2);
    let pid = sessions.start(1, 0);
    assert!(ahead.contains(&pid), "{pid} of {ahead:?}");
    sessions.passes(1);
    assert!(sessions.log(1).contains("mine m1 True"), "{}", sessions.log(1));
    sessions.close();
}

#[test]
#[cfg(target_os = "linux")]
fn a_killed_prefork_is_replaced_and_a_surplus_one_ends() {
    let mut sessions = Sessions::new(2);
    let first = sessions.wait_for(2).into_iter().find(|child| *child != sessions.first).unwrap();
    send_signal("KILL", &first.to_string());
    assert!(has_ended(&first.to_string()));
    // Another process was preforked, or is forked on request.
    let second = sessions.start(1, 1);
    assert_ne!(first, second);
    sessions.passes(1);
    sessions.wait_for(2);
    // `three` takes the preforked process; a surplus one ends.
    sessions.start(2, 0);
    sessions.passes(2);
    sessions.wait_for(1);
    sessions.close();
}

#[test]
#[cfg(target_os = "linux")]
fn preforked_processes_end_with_the_host() {
    for signal in ["KILL", "TERM"] {
        let mut sessions = Sessions::new(1);
        let children = sessions.wait_for(2);
        send_signal(signal, &sessions.host.pid().to_string());
        assert!(children.iter().all(|child| has_ended(&child.to_string())));
        while next_message(&sessions.host, &mut sessions.events).is_some() {}
        sessions.host.close();
    }
}

#[test]
fn uv_is_queried_once_before_nox_needs_it() {
    let project = Project::new(
        "import nox\n@nox.session(venv_backend='uv|none')\ndef one(session):\n    print('by', session.venv_backend)\n\
         @nox.session(venv_backend='uv|none')\ndef two(session):\n    pass\n",
    );
    let calls = project.outer_dir().join("calls");
    let uv = project.outer_dir().join("myuv");
    write_script(&uv, &format!("#!/bin/sh\necho \"$@\" >> '{}'\nexec uv \"$@\"\n", calls.display()));
    let ran = run_host(&project, &HostArgs::args(&[]).env("UV", uv.to_str().unwrap()));
    assert_eq!((ran.status("one"), ran.status("two")), (NoxStatus::Success, NoxStatus::Success), "{}", ran.log("one"));
    assert!(ran.log("one").contains("by uv"), "{}", ran.log("one"));
    let calls = std::fs::read_to_string(calls).unwrap();
    let version_queries: Vec<&str> = calls.lines().filter(|line| line.contains("version")).collect();
    assert_eq!(version_queries, ["self version --output-format json"], "{calls}");
}

#[test]
fn a_failing_uv_is_left_to_nox() {
    let body =
        "import nox\n@nox.session(venv_backend='uv|none')\ndef one(session):\n    print('by', session.venv_backend)\n";
    for (text, raise) in [(Some("exit 1"), ""), (None, ""), (Some("exec sleep 1000"), "raise SystemExit(3)\n")] {
        let project = Project::new(&format!("{body}{raise}"));
        let uv = project.outer_dir().join("myuv");
        if let Some(text) = text {
            write_script(&uv, &format!("#!/bin/sh\n{text}\n"));
        }
        let host_args = HostArgs::args(&[]).env("UV", uv.to_str().unwrap());
        if raise.is_empty() {
            let ran = run_host(&project, &host_args);
            assert!(ran.log("one").contains("by none"), "{}", ran.log("one"));
        } else {
            let since = Instant::now();
            assert!(host_args.start(&project).is_err());
            assert!(since.elapsed() < Duration::from_secs(60), "a load that failed waits for nobody");
        }
    }
}
