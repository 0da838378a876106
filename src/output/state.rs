//! A run's state as its events tell it: what reporters draw from. Pure; time comes with the events and from ticks.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::project::SessionName;
use crate::record::{Event, Fact, Outcome, Portion, RunFacts, SessionFacts, SessionResult};

/// A run so far.
#[derive(Clone, Debug, Default)]
pub struct RunState {
    facts: Option<RunFacts>,
    sessions: Vec<SessionView>,
    index: HashMap<SessionName, usize>,
    now: u64,
    interrupted: Option<String>,
    restoring: Option<Portion>,
    notices: Vec<String>,
    exit: Option<u8>,
}

/// A session so far.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// As planned.
    pub facts: SessionFacts,
    /// Where it stands.
    pub status: Status,
}

/// Where a session stands.
#[derive(Clone, Debug)]
pub enum Status {
    /// Its turn has not come.
    Waiting,
    /// Its process runs.
    Running(Running),
    /// An attempt failed, the next one follows.
    Between {
        /// The next attempt's number.
        attempt: u32,
        /// When the next attempt is due.
        until: u64,
    },
    /// It is over.
    Done(SessionResult),
}

/// A running attempt.
#[derive(Clone, Debug)]
pub struct Running {
    /// When it started.
    pub since: u64,
    /// 1 for the first.
    pub attempt: u32,
    /// Its log, relative to the run's folder.
    pub log: PathBuf,
    /// Bytes known to be in its log.
    pub bytes: u64,
}

/// How many sessions stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Running now, or between two attempts.
    pub running: usize,
    /// Over, and no failure.
    pub done: usize,
    /// Over, and a failure.
    pub failed: usize,
    /// Not started.
    pub waiting: usize,
}

impl RunState {
    /// Takes the next event.
    pub fn apply(&mut self, event: &Event) {
        self.now = self.now.max(event.at);
        match &event.fact {
            Fact::RunStarted(facts) => {
                for session in &facts.sessions {
                    self.add(session);
                }
                self.facts = Some(facts.clone());
            }
            Fact::SessionAdded { session, .. } => self.add(session),
            Fact::SessionStarted { session, attempt, log, .. } => {
                let running = Running { since: event.at, attempt: *attempt, log: log.clone(), bytes: 0 };
                self.view(session).status = Status::Running(running);
            }
            Fact::OutputGrew { session, attempt, to, .. } => {
                if let Status::Running(running) = &mut self.view(session).status
                    && running.attempt == *attempt
                {
                    running.bytes = running.bytes.max(*to);
                }
            }
            Fact::SessionRetried { session, attempt, delay } => {
                let until = event.at.saturating_add(*delay);
                let attempt = attempt.number.saturating_add(1);
                self.view(session).status = Status::Between { attempt, until };
            }
            Fact::SessionFinished(result) => {
                self.view(&result.session).status = Status::Done(result.clone());
            }
            Fact::SessionRestoring { done, .. } => self.restoring = Some(*done),
            Fact::SessionRestored { .. } => self.restoring = None,
            Fact::RunInterrupted { cause } => self.interrupted = Some(cause.clone()),
            Fact::Notice { text } => self.notices.push(text.clone()),
            Fact::RunFinished { exit } => self.exit = Some(*exit),
        }
    }

    /// Moves the clock; it never goes back.
    pub fn tick(&mut self, now: u64) {
        self.now = self.now.max(now);
    }

    /// What was known when the run began, once it began.
    pub fn facts(&self) -> Option<&RunFacts> {
        self.facts.as_ref()
    }

    /// All sessions, in nox's order, added ones last.
    pub fn sessions(&self) -> &[SessionView] {
        &self.sessions
    }

    /// One session by name.
    pub fn session(&self, name: &SessionName) -> Option<&SessionView> {
        self.index.get(name).map(|&at| &self.sessions[at])
    }

    /// Its place in `sessions`.
    pub(crate) fn position(&self, name: &SessionName) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// Milliseconds since the run started.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Why the run is being ended before its time.
    pub fn interrupted(&self) -> Option<&str> {
        self.interrupted.as_deref()
    }

    /// How far a restore has come that is under way.
    pub fn restoring(&self) -> Option<Portion> {
        self.restoring
    }

    /// All notices so far.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// The exit code, once the run is over.
    pub fn exit(&self) -> Option<u8> {
        self.exit
    }

    /// Results of all sessions that are over.
    pub fn results(&self) -> impl Iterator<Item = (&SessionFacts, &SessionResult)> {
        self.sessions.iter().filter_map(|view| match &view.status {
            Status::Done(result) => Some((&view.facts, result)),
            _ => None,
        })
    }

    /// Sessions whose process runs, the longest-running first.
    pub fn running(&self) -> Vec<(&SessionFacts, &Running)> {
        let mut running: Vec<_> = self
            .sessions
            .iter()
            .filter_map(|view| match &view.status {
                Status::Running(running) => Some((&view.facts, running)),
                _ => None,
            })
            .collect();
        running.sort_by_key(|(_, running)| running.since);
        running
    }

    /// How many sessions stand where.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for view in &self.sessions {
            match &view.status {
                Status::Waiting => counts.waiting += 1,
                Status::Running(_) | Status::Between { .. } => counts.running += 1,
                Status::Done(result) if result.outcome.is_failure() => counts.failed += 1,
                Status::Done(_) => counts.done += 1,
            }
        }
        counts
    }

    /// Sessions that ended with this outcome.
    pub fn ended(&self, outcome: Outcome) -> usize {
        self.results().filter(|(_, result)| result.outcome == outcome).count()
    }

    fn add(&mut self, session: &SessionFacts) {
        if !self.index.contains_key(&session.name) {
            self.index.insert(session.name.clone(), self.sessions.len());
            self.sessions.push(SessionView { facts: session.clone(), status: Status::Waiting });
        }
    }

    /// The session of that name; one that no plan named is shown all the same.
    fn view(&mut self, name: &SessionName) -> &mut SessionView {
        let at = *self.index.entry(name.clone()).or_insert_with(|| {
            let facts = SessionFacts {
                name: name.clone(),
                description: String::new(),
                needs: Vec::new(),
                locks: Vec::new(),
                exclusive: false,
                cpus: 1,
                usual: None,
            };
            self.sessions.push(SessionView { facts, status: Status::Waiting });
            self.sessions.len() - 1
        });
        &mut self.sessions[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::story::Story;

    #[test]
    fn events_move_sessions_from_waiting_to_done() {
        let mut story = Story::new(&["lint", "tests", "docs"]);
        assert_eq!(story.state().counts(), Counts { waiting: 3, ..Counts::default() });
        story.start(10, "lint").start(20, "tests").grew(25, "tests", b"hello\n");
        assert_eq!(story.state().running().len(), 2);
        story.finish(40, "lint", Outcome::Failed, "exit code 1").finish(50, "docs", Outcome::Skipped, "no python3.9");
        let state = story.state();
        assert_eq!(state.counts(), Counts { running: 1, done: 1, failed: 1, waiting: 0 });
        assert_eq!(state.running()[0].1.bytes, 6);
        assert_eq!(state.now(), 50);
        assert_eq!(state.ended(Outcome::Skipped), 1);
    }

    #[test]
    fn a_retry_counts_as_running_until_it_is_over() {
        let mut story = Story::new(&["tests"]);
        story.start(0, "tests").retry(100, "tests", "exit code 1", 500);
        assert_eq!(story.state().counts().running, 1);
        let name = SessionName::from("tests");
        let state = story.state();
        assert!(matches!(state.session(&name).unwrap().status, Status::Between { attempt: 2, until: 600 }));
        assert!(state.running().is_empty());
    }

    #[test]
    fn sessions_no_plan_named_are_shown_and_time_never_goes_back() {
        let mut state = RunState::default();
        let session = SessionName::from("ghost");
        let fact = Fact::OutputGrew { session: session.clone(), attempt: 1, from: 0, to: 9 };
        state.apply(&Event { at: 7, fact });
        state.apply(&Event { at: 3, fact: Fact::RunInterrupted { cause: "SIGINT".to_owned() } });
        state.apply(&Event { at: 3, fact: Fact::RunFinished { exit: 130 } });
        state.tick(1);
        assert_eq!((state.now(), state.interrupted(), state.exit()), (7, Some("SIGINT"), Some(130)));
        assert_eq!(state.position(&session), Some(0));
        assert_eq!(state.sessions()[0].facts.name, session);
        assert!(state.facts().is_none() && state.notices().is_empty());
    }
}
