//! Output through the public API: real pipes, large logs, many sessions, a replay from disk.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use noxide::output::{
    ActionsContext, ActionsForge, EventReporter, OutputOptions, OutputStreams, replay_events, reporters,
};
use noxide::project::SessionName;
use noxide::record::{AttemptResult, EventKind, Outcome, RunEvent, RunMetadata, SessionResult, SessionSpec};

#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn streams(out: impl Write + Send + 'static, size: (usize, usize)) -> OutputStreams {
    OutputStreams {
        stdout: Box::new(out),
        stderr: Box::new(io::sink()),
        terminal_size: Arc::new(move || Some(size)),
        events: None,
    }
}

fn begin(root: &Path, names: &[String]) -> RunEvent {
    let session = |name: &String| SessionSpec {
        name: name.as_str().into(),
        description: String::new(),
        needs: Vec::new(),
        locks: Vec::new(),
        lock_details: Default::default(),
        exclusive: false,
        cpus: 1,
        usual_ms: None,
    };
    let metadata = RunMetadata {
        run_id: "1".to_owned(),
        started_at: "2026-11-23T05:25:00+00:00".to_owned(),
        root: root.to_path_buf(),
        slots: 2,
        sessions: names.iter().map(session).collect(),
        commit: None,
        tree: None,
        versions: Vec::new(),
        shard: None,
    };
    RunEvent { at: 0, kind: EventKind::RunStarted(metadata) }
}

/// Start and end of a session whose log has so many bytes.
fn session(name: &str, at: u64, outcome: Outcome, log_bytes: u64) -> [RunEvent; 2] {
    let name = SessionName::from(name);
    let log = PathBuf::from(format!("{}.log", name.slug()));
    let attempt = AttemptResult {
        number: 1,
        outcome,
        reason: String::new(),
        exit_status: Some(0),
        signal: None,
        start: at,
        end: at + 5,
        cpu_ms: None,
        peak_memory: None,
        slots: vec![0],
        log: log.clone(),
        log_bytes,
        leaky: false,
    };
    let result = SessionResult {
        session: name.clone(),
        outcome,
        reason: String::new(),
        flaky: false,
        attempts: vec![attempt],
        install: None,
        cache: None,
        resources: None,
    };
    let started = EventKind::SessionStarted { session: name, attempt: 1, slots: vec![0], log };
    [RunEvent { at, kind: started }, RunEvent { at: at + 5, kind: EventKind::SessionFinished(result) }]
}

fn feed(reporters: &mut [Box<dyn EventReporter>], events: &[RunEvent], directory: &Path) {
    for reporter in reporters {
        for event in events {
            reporter.on_event(event, directory).unwrap();
        }
        reporter.finish().unwrap();
    }
}

#[test]
fn a_closed_output_does_not_end_the_run() {
    let directory = tempfile::tempdir().unwrap();
    fs_err::write(directory.path().join("lint.log"), "x\n".repeat(500_000)).unwrap();
    let mut events = vec![begin(directory.path(), &["lint".to_owned()])];
    events.extend(session("lint", 1, Outcome::Failed, 1_000_000));
    events.push(RunEvent { at: 9, kind: EventKind::RunFinished { exit_code: 1 } });
    let (reader, writer) = io::pipe().unwrap();
    let head = std::thread::spawn(move || {
        let mut line = String::new();
        BufReader::with_capacity(64, reader).read_line(&mut line).unwrap();
        line
    });
    feed(&mut reporters::open_reporters(&OutputOptions::plain(), streams(writer, (80, 24))), &events, directory.path());
    assert_eq!(head.join().unwrap(), "1 session on 2 slots\n");
}

#[test]
fn a_large_log_is_printed_completely() {
    let directory = tempfile::tempdir().unwrap();
    let line = format!("{}\n", "0123456789abcdef".repeat(8));
    let count = 200_000;
    fs_err::write(directory.path().join("lint.log"), line.repeat(count)).unwrap();
    let bytes = (line.len() * count) as u64;
    let mut events = vec![begin(directory.path(), &["lint".to_owned()])];
    events.extend(session("lint", 1, Outcome::Passed, bytes));
    let (mut reader, writer) = io::pipe().unwrap();
    let counted = std::thread::spawn(move || {
        let (mut buffer, mut lines) = (vec![0; 1 << 16], 0);
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => return lines,
                read => lines += buffer[..read].iter().filter(|byte| **byte == b'\n').count(),
            }
        }
    });
    let actions = ActionsContext { forge: ActionsForge::Forgejo, stop_token: "t".to_owned(), is_live: true };
    let options = OutputOptions { is_ci: true, actions: Some(actions), ..OutputOptions::plain() };
    feed(&mut reporters::open_reporters(&options, streams(writer, (80, 24))), &events, directory.path());
    let lines = counted.join().unwrap();
    assert!((count..count + 20).contains(&lines), "{lines}");
}

#[test]
fn five_hundred_sessions_on_a_board_stay_readable() {
    let directory = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..500).map(|n| format!("session-{n}")).collect();
    let mut events = vec![begin(directory.path(), &names)];
    for (n, name) in names.iter().enumerate() {
        let outcome = if n == 250 { Outcome::Crashed } else { Outcome::Passed };
        events.extend(session(name, n as u64 * 10, outcome, 0));
    }
    events.push(RunEvent { at: 5_100, kind: EventKind::RunFinished { exit_code: 1 } });
    let capture = Capture::default();
    let options = OutputOptions { is_interactive: true, ..OutputOptions::plain() };
    feed(&mut reporters::open_reporters(&options, streams(capture.clone(), (80, 24))), &events, directory.path());
    let text = capture.text();
    let end = text.rsplit("\x1b[J").next().unwrap();
    assert!(end.contains("✗ crashed  session-250") && end.contains("499 more passed"), "{end}");
    assert!(end.contains("500 sessions: 499 passed, 1 crashed in 5.1s"), "{end}");
    assert!(end.lines().count() < 12, "{end}");
}

#[test]
fn a_record_is_replayed_from_disk() {
    let directory = tempfile::tempdir().unwrap();
    fs_err::write(directory.path().join("lint.log"), "bad\n").unwrap();
    let mut events = vec![begin(directory.path(), &["lint".to_owned()])];
    events.extend(session("lint", 1, Outcome::Failed, 4));
    events.push(RunEvent { at: 9, kind: EventKind::RunFinished { exit_code: 1 } });
    let lines: Vec<String> = events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    fs_err::write(directory.path().join("events.jsonl"), lines.join("\n")).unwrap();

    let (live, again) = (Capture::default(), Capture::default());
    feed(
        &mut reporters::open_reporters(&OutputOptions::plain(), streams(live.clone(), (80, 24))),
        &events,
        directory.path(),
    );
    let mut file = BufReader::new(fs_err::File::open(directory.path().join("events.jsonl")).unwrap());
    let mut shown = reporters::open_reporters(&OutputOptions::plain(), streams(again.clone(), (80, 24)));
    let replayed = replay_events(&mut file, directory.path(), &mut shown).unwrap();
    assert_eq!((replayed.event_count, replayed.exit_code, replayed.damaged_line), (4, Some(1), None));
    assert_eq!(again.text(), live.text());
    assert!(live.text().contains("bad"));
}
