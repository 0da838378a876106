//! Events, records, the folder that keeps them, and history.

use std::path::PathBuf;

use noxide::project::SessionName;
use noxide::record::{
    Attempt, Event, Fact, Folder, History, Machine, Outcome, Record, Recorder, RunFacts, SessionFacts, SessionResult,
    read_events, write_record,
};

fn facts(name: &str) -> SessionFacts {
    SessionFacts {
        name: SessionName::new(name),
        description: String::new(),
        needs: Vec::new(),
        locks: Vec::new(),
        exclusive: false,
        cpus: 1,
        usual: None,
    }
}

fn started(run: &str, sessions: &[&str]) -> Event {
    let fact = Fact::RunStarted(RunFacts {
        run: run.to_owned(),
        time: "2026-11-23T05:00:00+00:00".to_owned(),
        root: PathBuf::from("project"),
        slots: 2,
        sessions: sessions.iter().map(|name| facts(name)).collect(),
        commit: None,
        versions: vec![("nox".to_owned(), "2026.10.20".to_owned())],
        shard: None,
    });
    Event { at: 0, fact }
}

fn attempt(number: u32, outcome: Outcome, start: u64, end: u64) -> Attempt {
    Attempt {
        number,
        outcome,
        reason: String::new(),
        exit: Some(0),
        signal: None,
        start,
        end,
        cpu: Some((end - start) / 2),
        peak_memory: Some(1 << 20),
        slots: vec![0],
        log: PathBuf::from("logs/a.log"),
        log_bytes: 3,
        leaky: false,
    }
}

fn finished(name: &str, outcome: Outcome, attempts: Vec<Attempt>) -> Event {
    let at = attempts.last().map_or(0, |last| last.end);
    let flaky = outcome == Outcome::Passed && attempts.len() > 1;
    let session = SessionName::new(name);
    let reason = String::new();
    let result = SessionResult { session, outcome, reason, flaky, attempts, install: None, cache: None };
    Event { at, fact: Fact::SessionFinished(result) }
}

fn run(name: &str, wall: u64) -> Vec<Event> {
    vec![
        started(name, &["a"]),
        Event { at: 1, fact: Fact::Notice { text: "hello".to_owned() } },
        finished("a", Outcome::Passed, vec![attempt(1, Outcome::Passed, 10, 10 + wall)]),
        Event { at: wall + 20, fact: Fact::RunFinished { exit: 0 } },
    ]
}

fn record(events: &[Event]) -> Record {
    Record::fold(events, Machine::here()).unwrap()
}

#[test]
fn a_run_is_recorded_as_it_goes_and_read_back() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::open(root.path()).unwrap();
    let mut recorder = Recorder::create(folder.run("1")).unwrap();
    for event in run("1", 100) {
        recorder.event(&event);
    }
    assert_eq!(folder.dead().len(), 0, "its noxide lives");
    recorder.close().unwrap();
    assert!(recorder.trouble().is_none());
    let kept = folder.record("1").unwrap();
    assert_eq!(kept, recorder.record().unwrap());
    assert_eq!((kept.version, kept.wall, kept.exit, kept.interrupted.clone()), (1, 120, Some(0), None));
    assert_eq!(kept.notices, ["hello"]);
    assert_eq!((kept.count(Outcome::Passed), kept.count(Outcome::Failed)), (1, 0));
    assert_eq!(read_events(&recorder.folder().join("events.jsonl")).unwrap(), run("1", 100));
    assert!(fs_err::read_to_string(folder.path().join(".gitignore")).unwrap().ends_with("*\n"));
    assert!(Recorder::create(folder.run("1")).is_err(), "a run's folder is never used twice");
}

#[test]
fn a_killed_run_gets_its_record_from_the_events_it_left() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::open(root.path()).unwrap();
    let mut recorder = Recorder::create(folder.run("1")).unwrap();
    let mut events = run("1", 100);
    events.pop();
    events.insert(1, Event { at: 1, fact: Fact::SessionAdded { session: facts("b"), by: SessionName::new("a") } });
    events.iter().for_each(|event| recorder.event(event));
    let path = recorder.folder().join("events.jsonl");
    drop(recorder);
    // The last line was being written when the power went.
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::write(&path, format!("{text}{{\"at\": 12")).unwrap();
    drop(Recorder::create(folder.run("2")).unwrap());
    let dead = folder.dead();
    assert_eq!(dead.iter().map(|dead| dead.run.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    for dead in &dead {
        folder.bury(dead).unwrap();
    }
    let kept = folder.record("1").unwrap();
    assert_eq!((kept.exit, kept.interrupted.as_deref()), (None, Some("killed")));
    assert_eq!(kept.sessions.iter().map(|s| s.result.is_some()).collect::<Vec<_>>(), [true, false]);
    assert_eq!(folder.runs(), ["1"], "a run that left no event is removed");
    assert!(folder.dead().is_empty());
}

#[test]
fn damaged_records_and_events_are_named_and_passed_over() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::open(root.path()).unwrap();
    fs_err::create_dir(folder.run("1")).unwrap();
    fs_err::write(folder.run("1").join("record.json"), "{").unwrap();
    assert!(folder.record("1").unwrap_err().to_string().contains("record.json"));
    assert!(folder.newest(9).is_empty());
    let events = folder.run("1").join("events.jsonl");
    fs_err::write(&events, "{\"at\": 1}\n").unwrap();
    assert!(read_events(&events).unwrap_err().to_string().contains("events.jsonl:1:"));
    assert!(Record::fold(&[], Machine::here()).is_none());
    assert!(Record::fold(&run("1", 1)[1..], Machine::here()).is_none());
}

#[test]
fn history_keeps_to_its_bound_and_lends_medians() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::open(root.path()).unwrap();
    for (number, wall) in [100, 900, 300, 200].into_iter().enumerate() {
        let path = folder.run(&number.to_string());
        fs_err::create_dir(&path).unwrap();
        write_record(&path, &record(&run(&number.to_string(), wall))).unwrap();
    }
    let living = Recorder::create(folder.run("0-living")).unwrap();
    let usual = History::new(&folder.newest(History::RUNS)).usual(&SessionName::new("a")).unwrap();
    assert_eq!((usual.wall, usual.cpu, usual.memory), (200, Some(100), Some(1 << 20)));
    folder.prune(2);
    assert_eq!(folder.runs(), ["0-living", "2", "3"], "a living run stays");
    drop(living);
    assert_eq!(History::new(&folder.newest(1)).usual(&SessionName::new("a")).unwrap().wall, 200);
    assert_eq!(History::new(&[]).usual(&SessionName::new("a")), None);
}

#[test]
fn only_passes_lend_their_time() {
    let mut failed = run("1", 50);
    failed[2] = finished("a", Outcome::Failed, vec![attempt(1, Outcome::Failed, 0, 50)]);
    let flaky = vec![attempt(1, Outcome::Failed, 0, 500), attempt(2, Outcome::Passed, 500, 540)];
    let mut retried = run("2", 50);
    retried[2] = finished("a", Outcome::Passed, flaky);
    let Fact::SessionFinished(result) = &retried[2].fact else { unreachable!() };
    assert_eq!((result.wall(), result.flaky), (540, true));
    let history = History::new(&[record(&failed), record(&retried)]);
    assert_eq!(history.usual(&SessionName::new("a")).unwrap().wall, 40);
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_not_a_panic() {
    let root = tempfile::tempdir().unwrap();
    fs_err::write(root.path().join(".noxide"), "a file").unwrap();
    assert!(Folder::open(root.path()).is_err());
    assert!(Folder::open(&root.path().join("missing").join("\0")).is_err());
}

#[test]
fn outcomes_have_words_and_meanings() {
    let all = [
        (Outcome::Passed, "passed", true, false),
        (Outcome::Failed, "failed", false, true),
        (Outcome::TimedOut, "timed-out", false, true),
        (Outcome::Crashed, "crashed", false, true),
        (Outcome::Cancelled, "cancelled", false, true),
        (Outcome::Replayed, "replayed", true, false),
        (Outcome::Skipped, "skipped", true, false),
        (Outcome::Aborted, "aborted", false, true),
    ];
    for (outcome, word, satisfies, failure) in all {
        assert_eq!((outcome.word(), outcome.satisfies(), outcome.is_failure()), (word, satisfies, failure));
        assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("\"{word}\""), "records use the same words");
        assert_eq!(format!("{outcome:>10}").trim(), word);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_root_that_is_no_utf8_is_shown() {
    use std::os::unix::ffi::OsStrExt;
    let mut event = started("1", &["a"]);
    let Fact::RunStarted(facts) = &mut event.fact else { unreachable!() };
    facts.root = PathBuf::from(std::ffi::OsStr::from_bytes(b"/caf\xe9"));
    assert!(serde_json::to_string(&event).unwrap().contains("/caf\u{fffd}"));
    assert!(serde_json::to_string(&record(&[event])).unwrap().contains("/caf\u{fffd}"));
}
