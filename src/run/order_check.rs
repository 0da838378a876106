//! Order check: which sessions must run again because their effects may differ from those of nox's order.
//!
//! nox runs one session after the other. A session that overlapped with one before it in that order, or ran first, may
//! have read or overwritten what the other wrote. Their traces show whether it did. Sessions run again once
//! nothing else runs.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::PlanIndex;
use super::launcher::{OrderConflict, PathConflict};
use crate::provision::FinishedSession;
use crate::record::{AttemptResult, InstallStats};

/// Attempts of a session and its installs.
type FinishedAttempts = (Vec<AttemptResult>, Option<InstallStats>);

/// Attempts of a run, and the sessions whose result or environment waits for the check.
#[derive(Debug, Default)]
pub(super) struct OrderCheck {
    spans: BTreeMap<PlanIndex, SessionSpan>,
    /// Conflicts of pairs in nox's order.
    conflicts: BTreeMap<(PlanIndex, PlanIndex), ComparedAttempts>,
    /// Pairs for which a notice said that the earlier session may have read what the later one wrote.
    reported_pairs: BTreeSet<(PlanIndex, PlanIndex)>,
    /// Failed sessions whose result waits for sessions before them in nox's order.
    held: BTreeMap<PlanIndex, AttemptResult>,
    /// Attempts and installs of sessions that finished, in case they run again.
    finished_attempts: BTreeMap<PlanIndex, FinishedAttempts>,
    /// How many sessions at the beginning of nox's order are final: they will not run again.
    final_count: usize,
    /// Environments that are saved once it is certain that their session does not run again.
    unsaved: BTreeMap<PlanIndex, FinishedSession>,
}

/// Two attempts that were compared, by their numbers, and how they conflict.
#[derive(Debug)]
struct ComparedAttempts {
    attempts: (u32, u32),
    conflict: Option<OrderConflict>,
}

/// The time that a session's attempts took.
#[derive(Clone, Copy, Debug)]
struct SessionSpan {
    first_start: u64,
    last_start: u64,
    end: u64,
    attempt: u32,
}

impl OrderCheck {
    /// Records an attempt that has ended.
    pub(super) fn record_attempt(&mut self, session: PlanIndex, attempt: &AttemptResult) {
        let first_start = self.spans.get(&session).map_or(attempt.start, |span| span.first_start);
        let span = SessionSpan { first_start, last_start: attempt.start, end: attempt.end, attempt: attempt.number };
        self.spans.insert(session, span);
    }

    /// Returns whether the last attempt of `later` began before that of `earlier` had ended; false if one has none.
    pub(super) fn is_out_of_order(&self, earlier: PlanIndex, later: PlanIndex) -> bool {
        let (Some(one), Some(other)) = (self.spans.get(&earlier), self.spans.get(&later)) else { return false };
        one.end > other.last_start
    }

    /// Returns whether any attempt of `later` began before the last one of `earlier` had ended.
    fn could_affect_earlier(&self, earlier: PlanIndex, later: PlanIndex) -> bool {
        let (Some(one), Some(other)) = (self.spans.get(&earlier), self.spans.get(&later)) else { return false };
        one.end > other.first_start
    }

    /// Returns the conflict of a pair in nox's order; `find` looks for it unless these attempts were compared before.
    pub(super) fn conflict(
        &mut self,
        earlier: PlanIndex,
        later: PlanIndex,
        find: impl FnOnce() -> Option<OrderConflict>,
    ) -> Option<OrderConflict> {
        let attempts = (self.spans.get(&earlier)?.attempt, self.spans.get(&later)?.attempt);
        match self.conflicts.get(&(earlier, later)) {
            Some(known) if known.attempts == attempts => known.conflict.clone(),
            _ => {
                let conflict = find();
                let compared = ComparedAttempts { attempts, conflict: conflict.clone() };
                self.conflicts.insert((earlier, later), compared);
                conflict
            }
        }
    }

    /// Returns the conflict if it may have affected the earlier session and was not reported yet; marks it as reported.
    pub(super) fn take_unreported_conflict(
        &mut self,
        earlier: PlanIndex,
        later: PlanIndex,
        conflict: &OrderConflict,
    ) -> Option<PathConflict> {
        let is_new = || self.could_affect_earlier(earlier, later) && !self.reported_pairs.contains(&(earlier, later));
        let affected = conflict.affecting_earlier.clone().filter(|_| is_new())?;
        self.reported_pairs.insert((earlier, later));
        Some(affected)
    }

    /// Returns how many sessions at the beginning of nox's order are known not to run again.
    pub(super) fn final_count(&self) -> usize {
        self.final_count
    }

    /// Records that this many sessions at the beginning of nox's order do not run again.
    pub(super) fn set_final_count(&mut self, count: usize) {
        self.final_count = self.final_count.max(count);
    }

    /// Holds the result of a failed session.
    pub(super) fn hold_result(&mut self, session: PlanIndex, attempt: AttemptResult) {
        self.held.insert(session, attempt);
    }

    /// Whether the results of failed sessions are held.
    pub(super) fn has_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// Removes the held result of a session.
    pub(super) fn release_result(&mut self, session: PlanIndex) -> Option<AttemptResult> {
        self.held.remove(&session)
    }

    /// Removes and returns the first held result in nox's order.
    pub(super) fn release_first(&mut self) -> Option<(PlanIndex, AttemptResult)> {
        self.held.pop_first()
    }

    /// Removes and returns the sessions whose results are held: they do not run again.
    pub(super) fn cancel_all(&mut self) -> Vec<PlanIndex> {
        std::mem::take(&mut self.held).into_keys().collect()
    }

    /// Keeps the attempts of a session whose result is reported.
    pub(super) fn keep_attempts(
        &mut self,
        session: PlanIndex,
        attempts: Vec<AttemptResult>,
        install: Option<InstallStats>,
    ) {
        self.finished_attempts.insert(session, (attempts, install));
    }

    /// Removes and returns the attempts of a session whose result was reported.
    pub(super) fn take_attempts(&mut self, session: PlanIndex) -> Option<FinishedAttempts> {
        self.finished_attempts.remove(&session)
    }

    /// Delays saving a session's environment.
    pub(super) fn delay_save(&mut self, session: PlanIndex, finished: FinishedSession) {
        self.unsaved.insert(session, finished);
    }

    /// Returns the sessions whose environments are not saved yet, in nox's order.
    pub(super) fn unsaved_sessions(&self) -> Vec<PlanIndex> {
        self.unsaved.keys().copied().collect()
    }

    /// Removes and returns an environment that is not saved yet.
    pub(super) fn take_unsaved(&mut self, session: PlanIndex) -> Option<FinishedSession> {
        self.unsaved.remove(&session)
    }
}
