//! Solo reruns: sessions that run again while nothing else runs, after a race or because of nox's order.
//!
//! A failure while a conflicting session ran is caused by the parallel run and not by the project; if the rerun passes, the
//! race is still reported.

use std::collections::{BTreeMap, VecDeque};

use super::graph::PlanIndex;
use crate::record::AttemptResult;

/// Sessions that run again alone, and why.
#[derive(Debug, Default)]
pub(super) struct SoloReruns {
    finished_attempts: Vec<AttemptSpan>,
    /// Why each of these sessions runs again: its race, or the session that it must follow.
    causes: BTreeMap<PlanIndex, String>,
    /// Sessions that wait to run alone, with their slots.
    waiting: VecDeque<(PlanIndex, Vec<usize>)>,
    /// The session that runs alone.
    running: Option<PlanIndex>,
}

#[derive(Clone, Copy, Debug)]
struct AttemptSpan {
    session: PlanIndex,
    start: u64,
    end: u64,
}

/// Returns the end of a notice that a session runs again: the files that it does not write anew, if there are any.
pub(super) fn describe_kept_files(files: &[String]) -> String {
    match files {
        [] => String::new(),
        [file] => format!("; it starts from what is in {file}, which it does not write anew"),
        [file, others @ ..] => {
            let others =
                if others.len() == 1 { "another file".to_owned() } else { format!("{} other files", others.len()) };
            format!("; it starts from what is in {file} and {others}, which it does not write anew")
        }
    }
}

/// What the dispatcher must do for solo reruns.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SoloRerunAction {
    /// Nothing: sessions may start.
    None,
    /// A session runs alone or waits to: nothing may start.
    StartNothing,
    /// Start this session on these slots, and nothing else.
    Start(PlanIndex, Vec<usize>),
}

impl SoloReruns {
    /// Records an attempt that has ended.
    pub(super) fn record_attempt(&mut self, session: PlanIndex, attempt: &AttemptResult) {
        self.finished_attempts.push(AttemptSpan { session, start: attempt.start, end: attempt.end });
    }

    /// Returns the sessions that ran at the same time as an attempt; empty for a session that runs again alone already.
    pub(super) fn overlapping_sessions(
        &self,
        session: PlanIndex,
        attempt: &AttemptResult,
        running: impl Iterator<Item = PlanIndex>,
    ) -> Vec<PlanIndex> {
        if self.causes.contains_key(&session) {
            return Vec::new();
        }
        let overlaps = |span: &&AttemptSpan| span.start < attempt.end && span.end > attempt.start;
        let finished = self.finished_attempts.iter().filter(overlaps).map(|span| span.session);
        finished.chain(running).filter(|other| *other != session).collect()
    }

    /// Schedules a session to run again alone.
    pub(super) fn schedule(&mut self, session: PlanIndex, slots: Vec<usize>, cause: String) {
        self.causes.insert(session, cause);
        self.waiting.push_back((session, slots));
    }

    /// Decides what may start. `is_running` returns whether a session runs; `idle` means that no session runs or is
    /// cleaned up.
    pub(super) fn next_step(&mut self, is_running: impl Fn(PlanIndex) -> bool, idle: bool) -> SoloRerunAction {
        if self.running.is_some_and(is_running) {
            return SoloRerunAction::StartNothing;
        }
        self.running = None;
        if self.waiting.is_empty() {
            return SoloRerunAction::None;
        }
        match self.waiting.pop_front_if(|_| idle) {
            Some((session, slots)) => {
                self.running = Some(session);
                SoloRerunAction::Start(session, slots)
            }
            None => SoloRerunAction::StartNothing,
        }
    }

    /// Returns why a session ran again alone; `None` if it did not.
    pub(super) fn cause(&self, session: PlanIndex) -> Option<&str> {
        self.causes.get(&session).map(String::as_str)
    }

    /// Removes and returns the sessions that wait to run alone: they will not run again.
    pub(super) fn cancel_all(&mut self) -> Vec<PlanIndex> {
        self.waiting.drain(..).map(|(session, _)| session).collect()
    }
}
