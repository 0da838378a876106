//! Events, records, the run store, and history.

use std::path::PathBuf;

use noxide::project::{SessionName, default_run_data_dir};
use noxide::record::{
    AttemptResult, EventKind, Machine, Outcome, RunEvent, RunMetadata, RunRecord, RunRecorder, RunStore,
    SessionHistory, SessionResult, SessionSpec, read_events, write_record,
};

fn session_spec(name: &str) -> SessionSpec {
    SessionSpec {
        name: SessionName::new(name),
        description: String::new(),
        needs: Vec::new(),
        locks: Vec::new(),
        lock_details: Default::default(),
        exclusive: false,
        cpus: 1,
        usual_ms: None,
    }
}

fn started(run: &str, sessions: &[&str]) -> RunEvent {
    let kind = EventKind::RunStarted(RunMetadata {
        run_id: run.to_owned(),
        started_at: "2026-11-23T05:00:00+00:00".to_owned(),
        root: PathBuf::from("project"),
        slots: 2,
        sessions: sessions.iter().map(|name| session_spec(name)).collect(),
        commit: None,
        tree: None,
        versions: vec![("nox".to_owned(), "2026.10.20".to_owned())],
        shard: None,
    });
    RunEvent { at: 0, kind }
}

fn attempt(number: u32, outcome: Outcome, start: u64, end: u64) -> AttemptResult {
    AttemptResult {
        number,
        outcome,
        reason: String::new(),
        exit_status: Some(0),
        signal: None,
        start,
        end,
        cpu_ms: Some((end - start) / 2),
        peak_memory: Some(1 << 20),
        slots: vec![0],
        log: PathBuf::from("logs/a.log"),
        log_bytes: 3,
        leaky: false,
    }
}

fn finished(name: &str, outcome: Outcome, attempts: Vec<AttemptResult>) -> RunEvent {
    let at = attempts.last().map_or(0, |last| last.end);
    let flaky = outcome == Outcome::Passed && attempts.len() > 1;
    let session = SessionName::new(name);
    let reason = String::new();
    let result =
        SessionResult { session, outcome, reason, flaky, attempts, install: None, cache: None, resources: None };
    RunEvent { at, kind: EventKind::SessionFinished(result) }
}

fn run(name: &str, wall: u64) -> Vec<RunEvent> {
    vec![
        started(name, &["a"]),
        RunEvent { at: 1, kind: EventKind::Notice { text: "hello".to_owned() } },
        finished("a", Outcome::Passed, vec![attempt(1, Outcome::Passed, 10, 10 + wall)]),
        RunEvent { at: wall + 20, kind: EventKind::RunFinished { exit_code: 0 } },
    ]
}

fn record(events: &[RunEvent]) -> RunRecord {
    RunRecord::from_events(events, Machine::detect()).unwrap()
}

#[test]
fn a_run_is_recorded_as_it_goes_and_read_back() {
    let root = tempfile::tempdir().unwrap();
    let directory = RunStore::open(default_run_data_dir(root.path())).unwrap();
    let mut recorder = RunRecorder::create(directory.run_dir("1")).unwrap();
    for event in run("1", 100) {
        recorder.record_event(&event);
    }
    assert_eq!(directory.find_killed_runs().len(), 0, "its noxide lives");
    recorder.write_final_record().unwrap();
    assert!(recorder.take_disk_error().is_none());
    let kept = directory.read_record("1").unwrap();
    assert_eq!(kept, recorder.build_record().unwrap());
    assert_eq!((kept.version, kept.wall_ms, kept.exit_code, kept.interrupt_cause.clone()), (3, 120, Some(0), None));
    assert_eq!(kept.notices, ["hello"]);
    assert_eq!((kept.count_outcome(Outcome::Passed), kept.count_outcome(Outcome::Failed)), (1, 0));
    assert_eq!(read_events(&recorder.run_dir().join("events.jsonl")).unwrap(), run("1", 100));
    assert!(fs_err::read_to_string(directory.path().join(".gitignore")).unwrap().ends_with("*\n"));
    assert!(RunRecorder::create(directory.run_dir("1")).is_err(), "a run's directory is never used twice");
}

/// Identifiers of runs.
const FIRST: &str = "20261130-073130.000-00000a";
const SECOND: &str = "20261130-073130.000-00000b";

#[test]
fn a_killed_run_is_recovered_from_its_events() {
    let root = tempfile::tempdir().unwrap();
    let directory = RunStore::open(default_run_data_dir(root.path())).unwrap();
    let mut recorder = RunRecorder::create(directory.run_dir(FIRST)).unwrap();
    let mut events = run(FIRST, 100);
    events.pop();
    events.insert(
        1,
        RunEvent {
            at: 1,
            kind: EventKind::SessionAdded { session: session_spec("b"), notified_by: SessionName::new("a") },
        },
    );
    events.iter().for_each(|event| recorder.record_event(event));
    let path = recorder.run_dir().join("events.jsonl");
    drop(recorder);
    // The last line was incomplete when the machine lost power.
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::write(&path, format!("{text}{{\"at\": 12")).unwrap();
    drop(RunRecorder::create(directory.run_dir(SECOND)).unwrap());
    let dead = directory.find_killed_runs();
    assert_eq!(dead.iter().map(|dead| dead.run_id.as_str()).collect::<Vec<_>>(), [FIRST, SECOND]);
    for dead in &dead {
        directory.recover_killed_run(dead).unwrap();
    }
    let kept = directory.read_record(FIRST).unwrap();
    assert_eq!((kept.exit_code, kept.interrupt_cause.as_deref()), (None, Some("killed")));
    assert_eq!(kept.sessions.iter().map(|s| s.result.is_some()).collect::<Vec<_>>(), [true, false]);
    assert_eq!(directory.run_ids(), [FIRST], "a run that left no event is removed");
    assert!(directory.find_killed_runs().is_empty());
}

#[test]
fn corrupt_records_and_events_are_named_and_skipped() {
    let root = tempfile::tempdir().unwrap();
    let directory = RunStore::open(default_run_data_dir(root.path())).unwrap();
    fs_err::create_dir(directory.run_dir("1")).unwrap();
    fs_err::write(directory.run_dir("1").join("record.json"), "{").unwrap();
    assert!(directory.read_record("1").unwrap_err().to_string().contains("record.json"));
    assert!(directory.newest_records(9).is_empty());
    let events = directory.run_dir("1").join("events.jsonl");
    fs_err::write(&events, "{\"at\": 1}\n").unwrap();
    assert!(read_events(&events).unwrap_err().to_string().contains("events.jsonl:1:"));
    assert!(RunRecord::from_events(&[], Machine::detect()).is_none());
    assert!(RunRecord::from_events(&run("1", 1)[1..], Machine::detect()).is_none());
}

#[test]
fn history_is_bounded_and_yields_medians() {
    let root = tempfile::tempdir().unwrap();
    let directory = RunStore::open(default_run_data_dir(root.path())).unwrap();
    for (number, wall) in [100, 900, 300, 200].into_iter().enumerate() {
        let id = format!("20261130-07313{number}.000-aaaaaa");
        fs_err::create_dir(directory.run_dir(&id)).unwrap();
        write_record(&directory.run_dir(&id), &record(&run(&id, wall))).unwrap();
    }
    let living = RunRecorder::create(directory.run_dir(FIRST)).unwrap();
    let usual = SessionHistory::from_records(&directory.newest_records(SessionHistory::MAX_RUNS))
        .usual_stats(&SessionName::new("a"))
        .unwrap();
    assert_eq!((usual.wall_ms, usual.cpu_ms, usual.peak_memory), (200, Some(100), Some(1 << 20)));
    directory.prune_runs(2);
    let newest = ["20261130-073132.000-aaaaaa", "20261130-073133.000-aaaaaa"];
    assert_eq!(directory.run_ids(), [FIRST, newest[0], newest[1]], "a living run stays");
    drop(living);
    assert_eq!(
        SessionHistory::from_records(&directory.newest_records(1)).usual_stats(&SessionName::new("a")).unwrap().wall_ms,
        200
    );
    assert_eq!(SessionHistory::from_records(&[]).usual_stats(&SessionName::new("a")), None);
}

#[test]
fn only_runs_are_recovered_and_removed() {
    let root = tempfile::tempdir().unwrap();
    let directory = RunStore::open(default_run_data_dir(root.path())).unwrap();
    let other = root.path().join("other");
    let mut kept =
        vec![directory.run_dir("src"), directory.run_dir("20261130-073130.000-no-run"), directory.run_dir(FIRST)];
    kept.push(other.clone());
    for dir in &kept {
        fs_err::create_dir_all(dir).unwrap();
        fs_err::write(dir.join("file"), "precious").unwrap();
    }
    // Named as a run and with the files of one, but a link.
    fs_err::write(other.join("run.lock"), "").unwrap();
    std::os::unix::fs::symlink(&other, directory.run_dir(SECOND)).unwrap();
    std::os::unix::fs::symlink(other.join("made"), directory.run_dir(FIRST).join("run.lock")).unwrap();
    assert!(directory.find_killed_runs().is_empty());
    directory.prune_runs(0);
    assert!(kept.iter().all(|dir| dir.join("file").exists() && !dir.join("record.json").exists()));
    assert!(!other.join("made").exists() && !directory.run_dir("src").join("run.lock").exists());
}

#[test]
fn a_store_that_is_a_link_is_not_opened() {
    for link in [".nox/.noxide", ".nox/.noxide/runs", ".nox/.noxide/restored", ".nox/.noxide/trace"] {
        let root = tempfile::tempdir().unwrap();
        let other = root.path().join("other");
        fs_err::create_dir_all(other.join("runs")).unwrap();
        let store = RunStore::open(default_run_data_dir(root.path())).unwrap();
        let path = root.path().join(link);
        if path.exists() {
            fs_err::rename(&path, root.path().join("moved")).unwrap();
        }
        std::os::unix::fs::symlink(&other, &path).unwrap();
        let error = RunStore::open(default_run_data_dir(root.path())).unwrap_err().to_string();
        assert!(error.contains(link) && error.contains("is a symbolic link"), "{error}");
        assert!(RunStore::open_existing(default_run_data_dir(root.path())).is_none(), "{link}");
        drop(store);
    }
    let envdir = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(other.path(), envdir.path().join(".noxide")).unwrap();
    assert!(RunStore::open(envdir.path().join(".noxide/0123456789abcdef")).is_err());
    assert_eq!(fs_err::read_dir(other.path()).unwrap().count(), 0);
}

#[test]
fn only_passed_sessions_yield_durations() {
    let mut failed = run("1", 50);
    failed[2] = finished("a", Outcome::Failed, vec![attempt(1, Outcome::Failed, 0, 50)]);
    let flaky = vec![attempt(1, Outcome::Failed, 0, 500), attempt(2, Outcome::Passed, 500, 540)];
    let mut retried = run("2", 50);
    retried[2] = finished("a", Outcome::Passed, flaky);
    let EventKind::SessionFinished(result) = &retried[2].kind else { unreachable!() };
    assert_eq!((result.wall_time(), result.flaky), (540, true));
    let history = SessionHistory::from_records(&[record(&failed), record(&retried)]);
    assert_eq!(history.usual_stats(&SessionName::new("a")).unwrap().wall_ms, 40);
}

#[test]
fn an_unwritable_directory_is_an_error_not_a_panic() {
    let root = tempfile::tempdir().unwrap();
    fs_err::create_dir(root.path().join(".nox")).unwrap();
    fs_err::write(root.path().join(".nox/.noxide"), "a file").unwrap();
    assert!(RunStore::open(default_run_data_dir(root.path())).is_err());
    assert!(RunStore::open(default_run_data_dir(&root.path().join("missing").join("\0"))).is_err());
}

#[test]
fn outcomes_have_names_and_properties() {
    let all = [
        (Outcome::Passed, "passed", true, false),
        (Outcome::Failed, "failed", false, true),
        (Outcome::TimedOut, "timed-out", false, true),
        (Outcome::Crashed, "crashed", false, true),
        (Outcome::Cancelled, "cancelled", false, true),
        (Outcome::Skipped, "skipped", true, false),
        (Outcome::Aborted, "aborted", false, true),
    ];
    for (outcome, word, satisfies, failure) in all {
        assert_eq!((outcome.as_str(), outcome.allows_dependents(), outcome.is_failure()), (word, satisfies, failure));
        assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("\"{word}\""), "records use the same words");
        assert_eq!(format!("{outcome:>10}").trim(), word);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_root_that_is_not_utf8_is_shown() {
    use std::os::unix::ffi::OsStrExt;
    let mut event = started("1", &["a"]);
    let EventKind::RunStarted(session_spec) = &mut event.kind else { unreachable!() };
    session_spec.root = PathBuf::from(std::ffi::OsStr::from_bytes(b"/caf\xe9"));
    assert!(serde_json::to_string(&event).unwrap().contains("/caf\u{fffd}"));
    assert!(serde_json::to_string(&record(&[event])).unwrap().contains("/caf\u{fffd}"));
}
