//! State of a run, computed from its events and rendered by reporters. Pure: time comes from events and ticks.

use std::collections::HashMap;
use std::path::PathBuf;

use console::measure_text_width;

use crate::project::SessionName;
use crate::record::{EventKind, Outcome, RestoreProgress, RunEvent, RunMetadata, SessionResult, SessionSpec};

/// State of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunState {
    run_metadata: Option<RunMetadata>,
    sessions: Vec<SessionView>,
    session_indices: HashMap<SessionName, usize>,
    /// Columns of the widest name, which each row needs: measured once for each session.
    widest_name: usize,
    elapsed_ms: u64,
    interrupt_cause: Option<String>,
    restore_progress: Option<RestoreProgress>,
    notices: Vec<String>,
    exit_code: Option<u8>,
}

/// State of a session.
#[derive(Clone, Debug)]
pub(crate) struct SessionView {
    /// The session as planned.
    pub(crate) spec: SessionSpec,
    pub(crate) status: SessionStatus,
}

/// Status of a session.
#[derive(Clone, Debug)]
pub(crate) enum SessionStatus {
    /// Not started.
    Waiting,
    /// Its process is running.
    Running(AttemptProgress),
    /// An attempt failed and is retried.
    AwaitingRetry {
        /// Number of the next attempt.
        attempt: u32,
        /// When the next attempt starts, in milliseconds since the run started.
        retry_at: u64,
    },
    /// Failed, and its result waits for another session.
    Held {
        /// The session that it waits for.
        waits_for: SessionName,
    },
    /// Finished.
    Done(SessionResult),
}

/// A running attempt.
#[derive(Clone, Debug)]
pub(crate) struct AttemptProgress {
    /// Start, in milliseconds since the run started.
    pub(crate) started_at: u64,
    /// 1 for the first.
    pub(crate) attempt: u32,
    /// Its log, relative to the run directory.
    pub(crate) log_path: PathBuf,
    /// Length of the log in bytes, according to the events so far.
    pub(crate) log_bytes: u64,
}

/// Number of sessions by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StatusCounts {
    /// Running, or between two attempts.
    pub(crate) running: usize,
    /// Finished without failure.
    pub(crate) done: usize,
    /// Finished with a failure.
    pub(crate) failed: usize,
    /// Not started, or held.
    pub(crate) waiting: usize,
}

impl RunState {
    /// Applies the next event.
    pub(crate) fn apply_event(&mut self, event: &RunEvent) {
        self.elapsed_ms = self.elapsed_ms.max(event.at);
        match &event.kind {
            EventKind::RunStarted(metadata) => {
                for session in &metadata.sessions {
                    self.add_session(session);
                }
                self.run_metadata = Some(metadata.clone());
            }
            EventKind::SessionAdded { session, .. } => self.add_session(session),
            EventKind::SessionStarted { session, attempt, log, .. } => {
                let running =
                    AttemptProgress { started_at: event.at, attempt: *attempt, log_path: log.clone(), log_bytes: 0 };
                self.session_view_mut(session).status = SessionStatus::Running(running);
            }
            EventKind::OutputGrew { session, attempt, to_offset: to, .. } => {
                if let SessionStatus::Running(running) = &mut self.session_view_mut(session).status
                    && running.attempt == *attempt
                {
                    running.log_bytes = running.log_bytes.max(*to);
                }
            }
            EventKind::SessionRetried { session, attempt, delay_ms: delay } => {
                let retry_at = event.at.saturating_add(*delay);
                let attempt = attempt.number.saturating_add(1);
                self.session_view_mut(session).status = SessionStatus::AwaitingRetry { attempt, retry_at };
            }
            EventKind::SessionHeld { session, waits_for, .. } => {
                self.session_view_mut(session).status = SessionStatus::Held { waits_for: waits_for.clone() };
            }
            EventKind::SessionFinished(result) => {
                self.session_view_mut(&result.session).status = SessionStatus::Done(result.clone());
            }
            EventKind::SessionRestoring { progress, .. } => self.restore_progress = Some(*progress),
            EventKind::SessionRestored { .. } => self.restore_progress = None,
            EventKind::RunInterrupted { cause } => self.interrupt_cause = Some(cause.clone()),
            EventKind::Notice { text } => self.notices.push(text.clone()),
            EventKind::RunFinished { exit_code: exit } => self.exit_code = Some(*exit),
        }
    }

    /// Advances the clock; it never goes back.
    pub(crate) fn advance_clock(&mut self, now: u64) {
        self.elapsed_ms = self.elapsed_ms.max(now);
    }

    /// Returns the metadata of the run, once it has started.
    pub(crate) fn run_metadata(&self) -> Option<&RunMetadata> {
        self.run_metadata.as_ref()
    }

    /// Returns all sessions in nox's order, added ones last.
    pub(crate) fn sessions(&self) -> &[SessionView] {
        &self.sessions
    }

    /// Returns the number of columns of the widest session name.
    pub(crate) fn widest_name(&self) -> usize {
        self.widest_name
    }

    /// Finds a session by name.
    pub(crate) fn find_session(&self, name: &SessionName) -> Option<&SessionView> {
        self.session_indices.get(name).map(|&index| &self.sessions[index])
    }

    /// Returns the index of a session in [`Self::sessions`].
    pub(crate) fn plan_index(&self, name: &SessionName) -> Option<usize> {
        self.session_indices.get(name).copied()
    }

    /// Returns the milliseconds since the run started.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        self.elapsed_ms
    }

    /// Returns the cause of the interruption, if the run was interrupted.
    pub(crate) fn interrupt_cause(&self) -> Option<&str> {
        self.interrupt_cause.as_deref()
    }

    /// Returns the progress of a restore that is running.
    pub(crate) fn restore_progress(&self) -> Option<RestoreProgress> {
        self.restore_progress
    }

    /// Returns all notices.
    pub(crate) fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Returns the exit code, once the run is over.
    pub(crate) fn exit_code(&self) -> Option<u8> {
        self.exit_code
    }

    /// Returns the results of all finished sessions.
    pub(crate) fn session_results(&self) -> impl Iterator<Item = (&SessionSpec, &SessionResult)> {
        self.sessions.iter().filter_map(|view| match &view.status {
            SessionStatus::Done(result) => Some((&view.spec, result)),
            _ => None,
        })
    }

    /// Returns the running sessions, the longest-running first.
    pub(crate) fn running_sessions(&self) -> Vec<(&SessionSpec, &AttemptProgress)> {
        let mut running: Vec<_> = self
            .sessions
            .iter()
            .filter_map(|view| match &view.status {
                SessionStatus::Running(running) => Some((&view.spec, running)),
                _ => None,
            })
            .collect();
        running.sort_by_key(|(_, running)| running.started_at);
        running
    }

    /// Counts sessions by status.
    pub(crate) fn status_counts(&self) -> StatusCounts {
        let mut counts = StatusCounts::default();
        for view in &self.sessions {
            match &view.status {
                SessionStatus::Waiting | SessionStatus::Held { .. } => counts.waiting += 1,
                SessionStatus::Running(_) | SessionStatus::AwaitingRetry { .. } => counts.running += 1,
                SessionStatus::Done(result) if result.outcome.is_failure() => counts.failed += 1,
                SessionStatus::Done(_) => counts.done += 1,
            }
        }
        counts
    }

    /// Counts sessions with an outcome.
    pub(crate) fn count_with_outcome(&self, outcome: Outcome) -> usize {
        self.session_results().filter(|(_, result)| result.outcome == outcome).count()
    }

    fn add_session(&mut self, session: &SessionSpec) {
        if !self.session_indices.contains_key(&session.name) {
            self.session_indices.insert(session.name.clone(), self.sessions.len());
            self.widest_name = self.widest_name.max(measure_text_width(&session.name.display_name()));
            self.sessions.push(SessionView { spec: session.clone(), status: SessionStatus::Waiting });
        }
    }

    /// Returns the session with a name; adds it if the plan does not contain it.
    fn session_view_mut(&mut self, name: &SessionName) -> &mut SessionView {
        let index = *self.session_indices.entry(name.clone()).or_insert_with(|| {
            let spec = SessionSpec {
                name: name.clone(),
                description: String::new(),
                needs: Vec::new(),
                locks: Vec::new(),
                lock_details: Default::default(),
                exclusive: false,
                cpus: 1,
                usual_ms: None,
            };
            self.widest_name = self.widest_name.max(measure_text_width(&name.display_name()));
            self.sessions.push(SessionView { spec, status: SessionStatus::Waiting });
            self.sessions.len() - 1
        });
        &mut self.sessions[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::event_builder::RunEventBuilder;

    #[test]
    fn events_move_sessions_from_waiting_to_done() {
        let mut builder = RunEventBuilder::new(&["lint", "tests", "docs"]);
        assert_eq!(builder.run_state().status_counts(), StatusCounts { waiting: 3, ..StatusCounts::default() });
        builder.start_session(10, "lint").start_session(20, "tests").append_output(25, "tests", b"hello\n");
        assert_eq!(builder.run_state().running_sessions().len(), 2);
        builder.finish_session(40, "lint", Outcome::Failed, "exit code 1").finish_session(
            50,
            "docs",
            Outcome::Skipped,
            "no python3.9",
        );
        let state = builder.run_state();
        assert_eq!(state.status_counts(), StatusCounts { running: 1, done: 1, failed: 1, waiting: 0 });
        assert_eq!(state.running_sessions()[0].1.log_bytes, 6);
        assert_eq!(state.elapsed_ms(), 50);
        assert_eq!(state.count_with_outcome(Outcome::Skipped), 1);
    }

    #[test]
    fn a_pending_retry_counts_as_running() {
        let mut builder = RunEventBuilder::new(&["tests"]);
        builder.start_session(0, "tests").retry_session(100, "tests", "exit code 1", 500);
        assert_eq!(builder.run_state().status_counts().running, 1);
        let name = SessionName::from("tests");
        let state = builder.run_state();
        assert!(matches!(
            state.find_session(&name).unwrap().status,
            SessionStatus::AwaitingRetry { attempt: 2, retry_at: 600 }
        ));
        assert!(state.running_sessions().is_empty());
    }

    #[test]
    fn unplanned_sessions_are_added_and_time_never_goes_back() {
        let mut state = RunState::default();
        let session = SessionName::from("unplanned");
        let kind = EventKind::OutputGrew { session: session.clone(), attempt: 1, from_offset: 0, to_offset: 9 };
        state.apply_event(&RunEvent { at: 7, kind });
        state.apply_event(&RunEvent { at: 3, kind: EventKind::RunInterrupted { cause: "SIGINT".to_owned() } });
        state.apply_event(&RunEvent { at: 3, kind: EventKind::RunFinished { exit_code: 130 } });
        state.advance_clock(1);
        assert_eq!((state.elapsed_ms(), state.interrupt_cause(), state.exit_code()), (7, Some("SIGINT"), Some(130)));
        assert_eq!(state.plan_index(&session), Some(0));
        assert_eq!(state.sessions()[0].spec.name, session);
        assert!(state.run_metadata().is_none() && state.notices().is_empty());
    }
}
