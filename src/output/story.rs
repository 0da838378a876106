//! Event streams built by hand, for tests: a run as a story, with its log files on disk.

use std::path::{Path, PathBuf};

use super::{Reporter, RunState};
use crate::project::SessionName;
use crate::record::{Attempt, Event, Fact, NeedFacts, NeedOrigin, Outcome, RunFacts, SessionFacts, SessionResult};

/// A run told event by event.
pub(crate) struct Story {
    root: tempfile::TempDir,
    folder: PathBuf,
    pub(crate) events: Vec<Event>,
    attempts: Vec<(SessionName, Vec<Attempt>)>,
}

/// A session as planned, without needs.
pub(crate) fn session(name: &str) -> SessionFacts {
    SessionFacts {
        name: name.into(),
        description: String::new(),
        needs: Vec::new(),
        locks: Vec::new(),
        exclusive: false,
        cpus: 1,
        usual: None,
    }
}

/// A session that usually takes so long and waits for others.
pub(crate) fn usual(name: &str, usual: u64, needs: &[&str]) -> SessionFacts {
    let needs = needs.iter().map(|&on| NeedFacts { on: on.into(), origin: NeedOrigin::Requires }).collect();
    SessionFacts { usual: Some(usual), needs, ..session(name) }
}

impl Story {
    pub(crate) fn new(names: &[&str]) -> Self {
        Self::of(names.iter().map(|&name| session(name)).collect())
    }

    pub(crate) fn of(sessions: Vec<SessionFacts>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(".noxide/runs/1");
        fs_err::create_dir_all(&folder).unwrap();
        let facts = RunFacts {
            run: "20261123-052500-7f3a".to_owned(),
            time: "2026-11-23T05:25:00+00:00".to_owned(),
            root: root.path().to_path_buf(),
            slots: 2,
            sessions,
            commit: Some("0123abc".to_owned()),
            versions: vec![("nox".to_owned(), "2026.10.20".to_owned())],
            shard: None,
        };
        let events = vec![Event { at: 0, fact: Fact::RunStarted(facts) }];
        Self { root, folder, events, attempts: Vec::new() }
    }

    /// The project's root.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// The run's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn state(&self) -> RunState {
        let mut state = RunState::default();
        self.events.iter().for_each(|event| state.apply(event));
        state
    }

    fn tell(&mut self, at: u64, fact: Fact) -> &mut Self {
        self.events.push(Event { at, fact });
        self
    }

    pub(crate) fn start(&mut self, at: u64, name: &str) -> &mut Self {
        let session = SessionName::from(name);
        let known = self.attempts.iter().position(|(other, _)| *other == session).unwrap_or_else(|| {
            self.attempts.push((session.clone(), Vec::new()));
            self.attempts.len() - 1
        });
        let number = self.attempts[known].1.len() as u32 + 1;
        let log = PathBuf::from(format!("{}-{number}.log", session.slug()));
        fs_err::write(self.folder.join(&log), b"").unwrap();
        let attempt = Attempt {
            number,
            outcome: Outcome::Passed,
            reason: String::new(),
            exit: Some(0),
            signal: None,
            start: at,
            end: at,
            cpu: Some(1_500),
            peak_memory: Some(64 << 20),
            slots: vec![0],
            log: log.clone(),
            log_bytes: 0,
            leaky: false,
        };
        self.attempts[known].1.push(attempt);
        self.tell(at, Fact::SessionStarted { session, attempt: number, slots: vec![0], log })
    }

    fn current(&mut self, name: &str) -> &mut Attempt {
        let (_, attempts) = self.attempts.iter_mut().find(|(other, _)| other.as_str() == name).unwrap();
        attempts.last_mut().unwrap()
    }

    /// Output on disk that no event told of yet.
    pub(crate) fn write(&mut self, name: &str, bytes: &[u8]) -> &mut Self {
        use std::io::Write;
        let log = self.current(name).log.clone();
        let path = self.folder.join(log);
        fs_err::OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
        self.current(name).log_bytes += bytes.len() as u64;
        self
    }

    pub(crate) fn grew(&mut self, at: u64, name: &str, bytes: &[u8]) -> &mut Self {
        let (from, attempt) = (self.current(name).log_bytes, self.current(name).number);
        self.write(name, bytes);
        let to = from + bytes.len() as u64;
        self.tell(at, Fact::OutputGrew { session: name.into(), attempt, from, to })
    }

    pub(crate) fn leaky(&mut self, name: &str) -> &mut Self {
        self.current(name).leaky = true;
        self
    }

    fn end(&mut self, at: u64, name: &str, outcome: Outcome, reason: &str) {
        let attempt = self.current(name);
        attempt.end = at;
        attempt.outcome = outcome;
        reason.clone_into(&mut attempt.reason);
        attempt.exit = Some(i32::from(outcome != Outcome::Passed));
    }

    pub(crate) fn retry(&mut self, at: u64, name: &str, reason: &str, delay: u64) -> &mut Self {
        self.end(at, name, Outcome::Failed, reason);
        let attempt = self.current(name).clone();
        self.tell(at, Fact::SessionRetried { session: name.into(), attempt, delay })
    }

    pub(crate) fn finish(&mut self, at: u64, name: &str, outcome: Outcome, reason: &str) -> &mut Self {
        let session = SessionName::from(name);
        if self.attempts.iter().any(|(other, _)| *other == session) {
            self.end(at, name, outcome, reason);
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
        };
        self.tell(at, Fact::SessionFinished(result))
    }

    pub(crate) fn add(&mut self, at: u64, name: &str, by: &str) -> &mut Self {
        self.tell(at, Fact::SessionAdded { session: session(name), by: by.into() })
    }

    pub(crate) fn notice(&mut self, at: u64, text: &str) -> &mut Self {
        self.tell(at, Fact::Notice { text: text.to_owned() })
    }

    pub(crate) fn interrupt(&mut self, at: u64, cause: &str) -> &mut Self {
        self.tell(at, Fact::RunInterrupted { cause: cause.to_owned() })
    }

    pub(crate) fn over(&mut self, at: u64, exit: u8) -> &mut Self {
        self.tell(at, Fact::RunFinished { exit })
    }

    /// Feeds all events to a reporter and finishes it.
    pub(crate) fn feed(&self, reporter: &mut dyn Reporter) {
        for event in &self.events {
            reporter.event(event, &self.folder).unwrap();
        }
        reporter.finish().unwrap();
    }

    /// Replaces what differs from run to run in text made from this story.
    pub(crate) fn stable(&self, text: &str) -> String {
        text.replace(&self.root.path().display().to_string(), "ROOT")
    }
}
