//! Exclusive retries: a session that failed while a conflicting session ran is retried while nothing else runs.
//!
//! Such a failure is caused by the parallel run and not by the project; if the retry passes, the race is still reported.

use std::collections::{BTreeMap, VecDeque};

use super::graph::SessionIndex;
use crate::record::AttemptResult;

/// Races of a run, and the exclusive retries that they cause.
#[derive(Debug, Default)]
pub(super) struct RaceRetries {
    finished_attempts: Vec<AttemptSpan>,
    /// Sessions that raced, with the description of their race.
    descriptions: BTreeMap<SessionIndex, String>,
    /// Sessions that wait to run alone, with their slots.
    pending: VecDeque<(SessionIndex, Vec<usize>)>,
    /// The session that runs alone.
    running: Option<SessionIndex>,
}

#[derive(Clone, Copy, Debug)]
struct AttemptSpan {
    session: SessionIndex,
    start: u64,
    end: u64,
}

/// What the dispatcher must do for exclusive retries.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ExclusiveAction {
    /// Nothing: sessions may start.
    None,
    /// A session runs alone or waits to: nothing may start.
    StartNothing,
    /// Start this session on these slots, and nothing else.
    Start(SessionIndex, Vec<usize>),
}

impl RaceRetries {
    /// Records an attempt that has ended.
    pub(super) fn record_attempt(&mut self, session: SessionIndex, attempt: &AttemptResult) {
        self.finished_attempts.push(AttemptSpan { session, start: attempt.start, end: attempt.end });
    }

    /// Returns the sessions that ran at the same time as an attempt; empty for a session whose race is already known.
    pub(super) fn overlapping_sessions(
        &self,
        session: SessionIndex,
        attempt: &AttemptResult,
        running: impl Iterator<Item = SessionIndex>,
    ) -> Vec<SessionIndex> {
        if self.descriptions.contains_key(&session) {
            return Vec::new();
        }
        let overlaps = |span: &&AttemptSpan| span.start < attempt.end && span.end > attempt.start;
        let finished = self.finished_attempts.iter().filter(overlaps).map(|span| span.session);
        finished.chain(running).filter(|other| *other != session).collect()
    }

    /// Schedules an exclusive retry of a session that raced.
    pub(super) fn schedule(&mut self, session: SessionIndex, slots: Vec<usize>, description: String) {
        self.descriptions.insert(session, description);
        self.pending.push_back((session, slots));
    }

    /// Decides what may start. `is_running` returns whether a session runs; `idle` means that no session runs or is
    /// cleaned up.
    pub(super) fn next_step(&mut self, is_running: impl Fn(SessionIndex) -> bool, idle: bool) -> ExclusiveAction {
        if self.running.is_some_and(is_running) {
            return ExclusiveAction::StartNothing;
        }
        self.running = None;
        if self.pending.is_empty() {
            return ExclusiveAction::None;
        }
        match self.pending.pop_front_if(|_| idle) {
            Some((session, slots)) => {
                self.running = Some(session);
                ExclusiveAction::Start(session, slots)
            }
            None => ExclusiveAction::StartNothing,
        }
    }

    /// Returns the description of a session's race; `None` if it has not raced.
    pub(super) fn description(&self, session: SessionIndex) -> Option<&str> {
        self.descriptions.get(&session).map(String::as_str)
    }

    /// Removes and returns the sessions that wait to run alone: they will not be retried.
    pub(super) fn cancel_all(&mut self) -> Vec<SessionIndex> {
        self.pending.drain(..).map(|(session, _)| session).collect()
    }
}
