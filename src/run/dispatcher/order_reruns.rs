//! Reruns of sessions whose effects may differ from those of nox's order, once nothing else runs.

use super::Dispatcher;
use crate::provision::FinishedSession;
use crate::record::{AttemptResult, EventKind};
use crate::run::graph::PlanIndex;
use crate::run::launcher::PathConflict;
use crate::run::options::FailFast;
use crate::run::solo_reruns::describe_kept_files;

impl Dispatcher<'_> {
    /// Reruns, alone, the first session that conflicts with an earlier one and did not run after it; if there is none,
    /// reports the first failed session whose result was held. Returns whether it did either. Call it only if no session
    /// could start.
    pub(super) fn rerun_or_release_one(&mut self) -> bool {
        let is_idle = self.scheduler.count_running() == 0 && self.running.is_empty() && self.cleanups.is_idle();
        if !self.launcher.can_find_order_conflicts() || !is_idle {
            return false;
        }
        let sessions = self.order.final_count()..self.context.plan.sessions.len();
        for session in sessions.map(PlanIndex) {
            if let Some((earlier, conflict)) = self.find_order_violation(session) {
                self.run_again(session, earlier, &conflict);
                return true;
            }
        }
        match self.order.release_first() {
            Some((session, attempt)) => {
                self.clean_up_session(session, attempt);
                true
            }
            None => false,
        }
    }

    /// Returns a session before this one in nox's order, and what the conflict is, if this one must run again after it.
    fn find_order_violation(&mut self, session: PlanIndex) -> Option<(PlanIndex, PathConflict)> {
        let mut violation = None;
        // Compares all pairs, even if one is enough: later runs use every conflict.
        for earlier in (0..session.0).map(PlanIndex) {
            if !self.order.is_out_of_order(earlier, session) || self.scheduler.waits_for(earlier, session) {
                continue;
            }
            let (one, other) = (self.manifest_index(earlier), self.manifest_index(session));
            let launcher = &mut *self.launcher;
            let Some(conflict) = self.order.conflict(earlier, session, || launcher.find_order_conflict(one, other))
            else {
                continue;
            };
            // Sessions that share a lock may run in either order, unless one reads what the other creates.
            if self.scheduler.shares_lock(earlier, session) && !conflict.reads_output {
                continue;
            }
            if let Some(affected) = self.order.take_unreported_conflict(earlier, session, &conflict) {
                let (name, other) = (self.session_name(earlier), self.session_name(session));
                let text = format!(
                    "{name} may have used what {other} wrote, which nox runs after it; they conflict on {}: {name} {}, \
                     {other} {}",
                    affected.path, affected.action, affected.other_action
                );
                self.emit_event(EventKind::Notice { text });
            }
            violation = violation.or(conflict.affecting_later.map(|conflict| (earlier, conflict)));
        }
        violation
    }

    /// Runs a session again, alone, after one that is before it in nox's order.
    fn run_again(&mut self, session: PlanIndex, earlier: PlanIndex, conflict: &PathConflict) {
        let (name, other) = (self.session_name(session), self.session_name(earlier));
        let description = format!(
            "began before {other} had finished; they conflict on {}: it {}, {other} {}",
            conflict.path, conflict.action, conflict.other_action
        );
        let kept = describe_kept_files(&self.launcher.kept_files(self.manifest_index(session)));
        self.emit_event(EventKind::Notice { text: format!("{name} {description}. Running it again alone{kept}") });
        match self.order.release_result(session) {
            Some(attempt) => {
                self.emit_event(EventKind::SessionRetried { session: name, attempt, delay_ms: 0 });
            }
            None => {
                if let Some((attempts, install)) = self.order.take_attempts(session) {
                    let state = self.session_states.entry(session).or_default();
                    (state.attempts, state.install) = (attempts, install);
                }
            }
        }
        self.order.take_unsaved(session);
        let slots = self.scheduler.restart_session(session);
        self.solo_reruns.schedule(session, slots, description);
    }

    /// Returns whether the result of a failed session must wait, because a session before it in nox's order has not
    /// finished or will run again: the failure may be due to missing output of that session. With `--fail-fast=kill` no failure waits.
    pub(super) fn should_hold_result(&mut self, session: PlanIndex) -> bool {
        !self.stopping
            && self.context.options.fail_fast != Some(FailFast::Kill)
            && self.launcher.can_find_order_conflicts()
            && !self.is_order_certain(session)
    }

    /// Holds the result of a failed session; it releases its slots and locks.
    pub(super) fn hold_result(&mut self, session: PlanIndex, attempt: AttemptResult) {
        let waits_for = self.find_uncertain_session(session).unwrap_or(session);
        let (name, waits_for) = (self.session_name(session), self.session_name(waits_for));
        self.emit_event(EventKind::SessionHeld { session: name, attempt: attempt.clone(), waits_for });
        self.scheduler.hold_session(session);
        self.order.hold_result(session, attempt);
    }

    /// Queues saving the environment of a finished session, once it is certain that the session does not run again.
    pub(super) fn save_environment(&mut self, session: PlanIndex, finished: FinishedSession) {
        if !self.launcher.can_find_order_conflicts() {
            return self.provision.enqueue_save(finished);
        }
        self.order.delay_save(session, finished);
        for session in self.order.unsaved_sessions() {
            if !self.stopping && !self.is_order_certain(session) {
                break;
            }
            let finished = self.order.take_unsaved(session);
            finished.into_iter().for_each(|finished| self.provision.enqueue_save(finished));
        }
    }

    /// Queues saving the environments whose sessions were not certain to be finished, at the end of the run.
    pub(super) fn save_remaining_environments(&mut self) {
        for session in self.order.unsaved_sessions() {
            let finished = self.order.take_unsaved(session);
            finished.into_iter().for_each(|finished| self.provision.enqueue_save(finished));
        }
    }

    /// Returns whether no session before this one in nox's order can make it run again.
    fn is_order_certain(&mut self, session: PlanIndex) -> bool {
        self.find_uncertain_session(session).is_none()
    }

    /// Returns a session before this one in nox's order that can make it run again: one that has not finished, will run
    /// again, or conflicts with it. Records how many sessions at the beginning of that order are final.
    fn find_uncertain_session(&mut self, session: PlanIndex) -> Option<PlanIndex> {
        let mut is_prefix = true;
        for each in (self.order.final_count()..=session.0).map(PlanIndex) {
            let is_finished = self.scheduler.outcome(each).is_some();
            let violation = if is_finished || each == session { self.find_order_violation(each) } else { None };
            let is_certain = (is_finished || each == session) && violation.is_none();
            if each == session {
                if let Some((earlier, _)) = violation {
                    return Some(earlier);
                }
            } else if !is_certain && !self.scheduler.waits_for(each, session) {
                return Some(each);
            }
            is_prefix &= is_certain && is_finished;
            if is_prefix {
                self.order.set_final_count(each.0 + 1);
            }
        }
        None
    }
}
