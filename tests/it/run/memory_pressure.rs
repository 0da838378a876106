//! Memory pressure: a dispatcher whose launcher decides when sessions end.

use std::sync::mpsc;

use noxide::project::ManifestIndex;
use noxide::record::{EventKind, Outcome, RunRecorder};
use noxide::run::{LaunchRequest, RunOptions};

use crate::support::{Dispatch, EventLog, FnLauncher, finished, manifest, session};

#[test]
fn no_session_starts_while_memory_is_short() {
    let manifest = manifest(["a", "b", "c", "d"].map(session).to_vec());
    let options = RunOptions::default();
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run");
    let recorder = RunRecorder::create(run.clone()).unwrap();
    let (sender, messages) = mpsc::channel();
    // Every session ends at once except the second, which ends when the notice about memory is emitted.
    let launch = |request: &LaunchRequest, _| {
        if request.id != ManifestIndex(1) {
            sender.send(finished(request.id, Outcome::Passed)).unwrap();
        }
        Ok(())
    };
    let mut log = EventLog::new(|kind: &EventKind| {
        if matches!(kind, EventKind::Notice { text } if text.starts_with("low memory (1 MiB available)")) {
            sender.send(finished(ManifestIndex(1), Outcome::Passed)).unwrap();
        }
    });
    let dispatch = Dispatch { slots: 2, memory: Some(|| Some(1 << 20)), ..Dispatch::new(&manifest, &options, &run) };
    let mut launcher = FnLauncher { launch, exit_description: None };
    assert_eq!(dispatch.run(&mut launcher, &mut log, (sender.clone(), messages)), 0);
    drop(recorder);
    let ended =
        |name: &str| log.position(|kind| matches!(kind, EventKind::SessionFinished(r) if r.session.as_str() == name));
    assert!(ended("a") < log.started("c"), "two slots");
    assert!(ended("b") < log.started("c"), "memory holds c back until nothing runs");
    let record = log.record();
    assert_eq!(record.notices.len(), 1, "one notice: {:?}", record.notices);
    assert_eq!(record.count_outcome(Outcome::Passed), 4);
}
