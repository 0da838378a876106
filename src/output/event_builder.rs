//! Builder of event streams for tests, with log files on disk.

use std::path::{Path, PathBuf};

use super::{EventReporter, RunState};
use crate::project::SessionName;
use crate::record::{
    AttemptResult, EventKind, NeedOrigin, Outcome, RunEvent, RunMetadata, SessionNeed, SessionResult, SessionSpec,
};

/// A run built event by event.
pub(crate) struct RunEventBuilder {
    project_root: tempfile::TempDir,
    run_dir: PathBuf,
    pub(crate) events: Vec<RunEvent>,
    attempts: Vec<(SessionName, Vec<AttemptResult>)>,
}

/// Returns a session without needs and without a usual time.
pub(crate) fn session_spec(name: &str) -> SessionSpec {
    SessionSpec {
        name: name.into(),
        description: String::new(),
        needs: Vec::new(),
        locks: Vec::new(),
        lock_details: Default::default(),
        exclusive: false,
        cpus: 1,
        usual_ms: None,
    }
}

/// Returns a session with a usual time and needs.
pub(crate) fn session_spec_with_usual(name: &str, usual: u64, needs: &[&str]) -> SessionSpec {
    let needs = needs.iter().map(|&on| SessionNeed { session: on.into(), origin: NeedOrigin::Requires }).collect();
    SessionSpec { usual_ms: Some(usual), needs, ..session_spec(name) }
}

impl RunEventBuilder {
    pub(crate) fn new(names: &[&str]) -> Self {
        Self::from_sessions(names.iter().map(|&name| session_spec(name)).collect())
    }

    pub(crate) fn from_sessions(sessions: Vec<SessionSpec>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let run_dir = root.path().join(".nox/.noxide/runs/1");
        fs_err::create_dir_all(&run_dir).unwrap();
        let metadata = RunMetadata {
            run_id: "20261123-052500-7f3a".to_owned(),
            started_at: "2026-11-23T05:25:00+00:00".to_owned(),
            root: root.path().to_path_buf(),
            slots: 2,
            sessions,
            commit: Some("0123abc".to_owned()),
            tree: None,
            versions: vec![("nox".to_owned(), "2026.10.20".to_owned())],
            shard: None,
        };
        let events = vec![RunEvent { at: 0, kind: EventKind::RunStarted(metadata) }];
        Self { project_root: root, run_dir, events, attempts: Vec::new() }
    }

    pub(crate) fn project_root(&self) -> &Path {
        self.project_root.path()
    }

    pub(crate) fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    pub(crate) fn run_state(&self) -> RunState {
        let mut state = RunState::default();
        self.events.iter().for_each(|event| state.apply_event(event));
        state
    }

    fn push_event(&mut self, at: u64, kind: EventKind) -> &mut Self {
        self.events.push(RunEvent { at, kind });
        self
    }

    pub(crate) fn start_session(&mut self, at: u64, name: &str) -> &mut Self {
        let session = SessionName::from(name);
        let known = self.attempts.iter().position(|(other, _)| *other == session).unwrap_or_else(|| {
            self.attempts.push((session.clone(), Vec::new()));
            self.attempts.len() - 1
        });
        let number = self.attempts[known].1.len() as u32 + 1;
        let log = PathBuf::from(format!("{}-{number}.log", session.slug()));
        fs_err::write(self.run_dir.join(&log), b"").unwrap();
        let attempt = AttemptResult {
            number,
            outcome: Outcome::Passed,
            reason: String::new(),
            exit_status: Some(0),
            signal: None,
            start: at,
            end: at,
            cpu_ms: Some(1_500),
            peak_memory: Some(64 << 20),
            slots: vec![0],
            log: log.clone(),
            log_bytes: 0,
            leaky: false,
        };
        self.attempts[known].1.push(attempt);
        self.push_event(at, EventKind::SessionStarted { session, attempt: number, slots: vec![0], log })
    }

    fn current_attempt(&mut self, name: &str) -> &mut AttemptResult {
        let (_, attempts) = self.attempts.iter_mut().find(|(other, _)| other.as_str() == name).unwrap();
        attempts.last_mut().unwrap()
    }

    /// Appends output to the log without an event.
    pub(crate) fn write_log(&mut self, name: &str, bytes: &[u8]) -> &mut Self {
        use std::io::Write;
        let log = self.current_attempt(name).log.clone();
        let path = self.run_dir.join(log);
        fs_err::OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
        self.current_attempt(name).log_bytes += bytes.len() as u64;
        self
    }

    pub(crate) fn append_output(&mut self, at: u64, name: &str, bytes: &[u8]) -> &mut Self {
        let (from, attempt) = (self.current_attempt(name).log_bytes, self.current_attempt(name).number);
        self.write_log(name, bytes);
        let to = from + bytes.len() as u64;
        self.push_event(at, EventKind::OutputGrew { session: name.into(), attempt, from_offset: from, to_offset: to })
    }

    pub(crate) fn mark_leaky(&mut self, name: &str) -> &mut Self {
        self.current_attempt(name).leaky = true;
        self
    }

    fn end_attempt(&mut self, at: u64, name: &str, outcome: Outcome, reason: &str) {
        let attempt = self.current_attempt(name);
        attempt.end = at;
        attempt.outcome = outcome;
        reason.clone_into(&mut attempt.reason);
        attempt.exit_status = Some(i32::from(outcome != Outcome::Passed));
    }

    pub(crate) fn retry_session(&mut self, at: u64, name: &str, reason: &str, delay: u64) -> &mut Self {
        self.end_attempt(at, name, Outcome::Failed, reason);
        let attempt = self.current_attempt(name).clone();
        self.push_event(at, EventKind::SessionRetried { session: name.into(), attempt, delay_ms: delay })
    }

    pub(crate) fn finish_session(&mut self, at: u64, name: &str, outcome: Outcome, reason: &str) -> &mut Self {
        let session = SessionName::from(name);
        if self.attempts.iter().any(|(other, _)| *other == session) {
            self.end_attempt(at, name, outcome, reason);
        }
        let attempts =
            self.attempts.iter().find(|(other, _)| *other == session).map(|(_, list)| list.clone()).unwrap_or_default();
        let result = SessionResult {
            session,
            outcome,
            reason: reason.to_owned(),
            flaky: outcome == Outcome::Passed && attempts.len() > 1,
            attempts,
            install: None,
            cache: None,
            resources: None,
        };
        self.push_event(at, EventKind::SessionFinished(result))
    }

    pub(crate) fn add_session(&mut self, at: u64, name: &str, by: &str) -> &mut Self {
        self.push_event(at, EventKind::SessionAdded { session: session_spec(name), notified_by: by.into() })
    }

    pub(crate) fn add_notice(&mut self, at: u64, text: &str) -> &mut Self {
        self.push_event(at, EventKind::Notice { text: text.to_owned() })
    }

    pub(crate) fn interrupt_run(&mut self, at: u64, cause: &str) -> &mut Self {
        self.push_event(at, EventKind::RunInterrupted { cause: cause.to_owned() })
    }

    pub(crate) fn finish_run(&mut self, at: u64, exit: u8) -> &mut Self {
        self.push_event(at, EventKind::RunFinished { exit_code: exit })
    }

    /// Sends all events to a reporter and finishes it.
    pub(crate) fn feed_reporter(&self, reporter: &mut dyn EventReporter) {
        for event in &self.events {
            reporter.on_event(event, &self.run_dir).unwrap();
        }
        reporter.finish().unwrap();
    }

    /// Replaces the temporary project root in a text by `ROOT`.
    pub(crate) fn replace_root(&self, text: &str) -> String {
        text.replace(&self.project_root.path().display().to_string(), "ROOT")
    }
}
