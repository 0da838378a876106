//! Ending sessions: exit reports, logs, retries, cleanup, and the effect of a failure on the rest of the run.

use super::{Dispatcher, RunMessage};
use crate::provision::FinishedSession;
use crate::record::{ArtifactList, AttemptResult, EventKind, InstallStats, Outcome, SessionResult, SharedResources};
use crate::run::artifact_collector::ArtifactCollector;
use crate::run::attempt::{ConcludedAttempt, DeadlineAction, RunningAttempt, StopReason, StopSignal};
use crate::run::graph::PlanIndex;
use crate::run::launcher::{ExitReport, SessionEvent};
use crate::run::options::{FailFast, FlakyMode};
use crate::run::run_clock::to_millis;
use crate::run::session_cleanup::{SessionCleanup, log_copy_path};
use crate::run::solo_reruns::describe_kept_files;

/// Why a traced program such as `sudo` fails.
const NO_PRIVILEGES: &str = "whose setuid bit or capabilities have no effect while it is traced";

impl Dispatcher<'_> {
    pub(super) fn handle_exited(&mut self, mut report: ExitReport) {
        let Some(session) = self.plan_index(report.id) else { return };
        self.emit_notices(std::mem::take(&mut report.notices));
        let now = self.clock.now();
        let options = &self.context.options;
        let (leak_timeout_ms, grace_ms) = (to_millis(options.leak_timeout), to_millis(options.grace_period));
        let Some(attempt) = self.running.get_mut(&session) else { return };
        if attempt.set_exited(report, now, leak_timeout_ms, grace_ms) {
            self.drain_attempt(session, now);
        }
    }

    pub(super) fn handle_output_closed(&mut self, session: PlanIndex, number: u32) {
        let Some(attempt) = self.running.get_mut(&session).filter(|attempt| attempt.number() == number) else { return };
        attempt.set_output_closed();
        self.drain_attempt(session, self.clock.now());
    }

    fn drain_attempt(&mut self, session: PlanIndex, now: u64) {
        let grace_ms = to_millis(self.context.options.grace_period);
        let step = self.running.get_mut(&session).map(|attempt| attempt.drain(now, grace_ms));
        if step == Some(DeadlineAction::Conclude) {
            self.conclude_attempt(session);
        }
    }

    /// Reports an attempt that has ended, then retries the session or cleans up after it.
    pub(super) fn conclude_attempt(&mut self, session: PlanIndex) {
        let Some(concluded) = self.running.remove(&session).and_then(RunningAttempt::conclude) else {
            return;
        };
        let ConcludedAttempt { result: attempt, can_retry, log_growth, log_error, install, uses, slots } = concluded;
        let name = self.session_name(session);
        if let Some(error) = log_error {
            self.emit_event(EventKind::Notice { text: format!("the log of {name} is incomplete: {error}") });
        }
        self.report_log_growth(session, attempt.number, log_growth);
        let state = self.session_states.entry(session).or_default();
        if let Some(install) = install {
            add_install(state.install.get_or_insert_default(), install);
        }
        state.attempts.push(attempt.clone());
        state.uses = uses;
        let uses = self.session_states.get(&session).and_then(|state| state.uses.as_deref()).unwrap_or_default();
        self.launcher.on_attempt_finished(self.context.plan[session].id, attempt.outcome, uses);
        let can_retry = can_retry && !self.stopping;
        // With `--fail-fast=kill` no failure waits until the other sessions have ended.
        let may_wait = can_retry && self.context.options.fail_fast != Some(FailFast::Kill);
        let race = may_wait.then(|| self.describe_race(session, &attempt)).flatten();
        self.solo_reruns.record_attempt(session, &attempt);
        self.order.record_attempt(session, &attempt);
        if can_retry && self.retry_untraced(session, &attempt, &slots) {
            return;
        }
        let delay = self.context.plan[session].retries.delay_before(attempt.number).filter(|_| can_retry);
        match (delay, race) {
            (_, Some(race)) => {
                let kept = describe_kept_files(&self.launcher.kept_files(self.manifest_index(session)));
                let text = format!("{name} failed and {race}; retrying it alone{kept}");
                self.emit_event(EventKind::Notice { text });
                self.emit_event(EventKind::SessionRetried { session: name, attempt, delay_ms: 0 });
                self.solo_reruns.schedule(session, slots, race);
            }
            (Some(delay), None) => {
                let delay = to_millis(delay);
                self.retries.schedule(session, self.clock.now().saturating_add(delay), slots);
                self.emit_event(EventKind::SessionRetried { session: name, attempt, delay_ms: delay });
            }
            (None, None) if can_retry && self.should_hold_result(session) => self.hold_result(session, attempt),
            (None, None) => self.clean_up_session(session, attempt),
        }
    }

    /// Retries a failed session without a trace if it ran a program whose setuid bit or capabilities have no effect while
    /// it is traced. Returns whether it does.
    fn retry_untraced(&mut self, session: PlanIndex, attempt: &AttemptResult, slots: &[usize]) -> bool {
        let Some(program) = self.launcher.stop_tracing_unprivileged(self.manifest_index(session)) else { return false };
        let name = self.session_name(session);
        let text = format!("{name} runs {program}, {NO_PRIVILEGES}; retrying it without a trace");
        self.emit_event(EventKind::Notice { text });
        self.emit_event(EventKind::SessionRetried { session: name, attempt: attempt.clone(), delay_ms: 0 });
        self.retries.schedule(session, self.clock.now(), slots.to_vec());
        self.session_states.entry(session).or_default().unprivileged_program = Some(program);
        true
    }

    /// Describes the race of a failed attempt: its conflict with a session that ran at the same time.
    fn describe_race(&self, session: PlanIndex, attempt: &AttemptResult) -> Option<String> {
        let others = self.solo_reruns.overlapping_sessions(session, attempt, self.running.keys().copied());
        others.into_iter().find_map(|other| {
            let conflict =
                self.launcher.find_overlap_conflict(self.manifest_index(session), self.manifest_index(other))?;
            let other = self.session_name(other);
            Some(format!(
                "raced with {other} on {}: it {}, {other} {}",
                conflict.path, conflict.action, conflict.other_action
            ))
        })
    }

    /// Cleans up after a session's last attempt; its result is reported afterwards.
    pub(super) fn clean_up_session(&mut self, session: PlanIndex, attempt: AttemptResult) {
        let uses = self.session_states.get(&session).and_then(|state| state.uses.as_deref()).unwrap_or_default();
        let notices = self.coverage.move_into_place(session, uses, &self.context.manifest.root);
        self.emit_notices(notices);
        let planned = &self.context.plan[session];
        let has_artifacts = !planned.artifacts.is_empty() && attempt.outcome != Outcome::Skipped;
        let artifacts = has_artifacts.then(|| ArtifactCollector {
            session: planned.spec.name.as_str().to_owned(),
            root: self.context.manifest.root.clone(),
            globs: planned.artifacts.clone(),
            directory: ArtifactList::session_dir(self.context.run_dir, &planned.log_stem),
        });
        let copy = log_copy_path(self.context.options, &planned.log_stem).filter(|copy| !copy.exists());
        let resources = self.context.resources;
        let mut dir_to_remove = resources.temp_dir_path(session).filter(|_| attempt.outcome.allows_dependents());
        // The directory of a passed session is recycled if it is empty and no process is left over, and removed
        // otherwise; that of a failed session stays.
        dir_to_remove.take_if(|directory| !attempt.leaky && resources.recycle_temp_dir(directory));
        let log_copy = copy.map(|copy| (self.context.run_dir.join(&attempt.log), copy));
        let sender = self.sender.clone();
        let report = move |notices| sender.send(RunMessage::CleanupDone(session, notices)).unwrap_or(());
        let cleanup = SessionCleanup { artifacts, log_copy, dir_to_remove };
        if let Some(notices) = self.cleanups.start(session, attempt, cleanup, report) {
            self.handle_cleanup_done(session, notices);
        }
    }

    pub(super) fn handle_cleanup_done(&mut self, session: PlanIndex, notices: Vec<String>) {
        self.emit_notices(notices);
        if let Some(attempt) = self.cleanups.finish(session) {
            self.settle_session(session, attempt.outcome, attempt.reason);
        }
    }

    /// Reports the result of a session whose attempts and cleanup are finished, and aborts sessions that required it.
    fn settle_session(&mut self, session: PlanIndex, outcome: Outcome, reason: String) {
        let state = self.session_states.remove(&session).unwrap_or_default();
        let (attempts, install) = (state.attempts, state.install);
        let definition = self.context.manifest.sessions[self.manifest_index(session).0].definition_digest.clone();
        let resources = state.uses.zip(definition).map(|(uses, definition)| SharedResources { definition, uses });
        let program = state.unprivileged_program;
        // A first attempt that failed only because it was traced does not count.
        let counted = attempts.get(usize::from(program.is_some())..).unwrap_or_default();
        let flaky = outcome == Outcome::Passed && counted.iter().any(|attempt| attempt.outcome.is_failure());
        let solo_cause = self.solo_reruns.cause(session).filter(|_| outcome == Outcome::Passed && attempts.len() > 1);
        let (outcome, reason) = match (solo_cause, self.context.options.flaky_mode) {
            (Some(cause), _) if flaky => (outcome, format!("{cause}; it passed when it ran alone")),
            (Some(cause), _) => (outcome, format!("{cause}; it ran again alone")),
            (None, _) if outcome == Outcome::Passed && program.is_some() => {
                let program = program.unwrap_or_default();
                (outcome, format!("it runs {program}, {NO_PRIVILEGES}; it passed without a trace"))
            }
            (None, FlakyMode::Fail) if flaky => {
                let attempts = attempts.len();
                (
                    Outcome::Failed,
                    format!("flaky: passed on attempt {attempts}, which counts as a failure (--flaky-result fail)"),
                )
            }
            _ => (outcome, reason),
        };
        // Before it is saved, which needs the lock.
        self.environments.release(session);
        if self.launcher.can_find_order_conflicts() {
            self.order.keep_attempts(session, attempts.clone(), install);
        }
        self.emit_event(EventKind::SessionFinished(SessionResult {
            session: self.session_name(session),
            outcome,
            reason,
            flaky,
            attempts,
            install,
            cache: self.context.plan[session].cache.clone(),
            resources,
        }));
        let aborts = self.scheduler.finish_session(session, outcome);
        if self.has_environment(session) {
            self.save_environment(session, FinishedSession { id: self.manifest_index(session), install });
        }
        for abort in aborts {
            let outcome = self.scheduler.outcome(abort.failed_need).unwrap_or(Outcome::Aborted);
            let required = self.session_name(abort.failed_need);
            self.report_aborted(abort.session, format!("requires {required} ({outcome})"));
        }
        if let Some(fail_fast) = self.context.options.fail_fast.filter(|_| outcome.is_failure() && !self.stopping) {
            self.stop_scheduling("fail-fast", "the run stopped at the first failure");
            if fail_fast == FailFast::Kill {
                self.stop_all_attempts("another session failed (--fail-fast=kill)", false);
            }
        }
    }

    /// Reports a session that is aborted, usually before it started.
    fn report_aborted(&mut self, session: PlanIndex, reason: String) {
        let mut attempts = self.session_states.remove(&session).unwrap_or_default().attempts;
        if let Some((earlier, _)) = self.order.take_attempts(session) {
            attempts = earlier; // it ran before a session that it requires ran again
        }
        self.emit_event(EventKind::SessionFinished(SessionResult {
            session: self.session_name(session),
            outcome: Outcome::Aborted,
            reason,
            flaky: false,
            attempts,
            install: None,
            cache: None,
            resources: None,
        }));
    }

    /// Starts no more sessions, and aborts those that wait.
    pub(super) fn stop_scheduling(&mut self, cause: &str, reason: &str) {
        self.stopping = true;
        self.emit_event(EventKind::RunInterrupted { cause: cause.to_owned() });
        let waiting = self.solo_reruns.cancel_all();
        let held = self.order.cancel_all();
        for session in self.retries.cancel_all().into_iter().chain(waiting).chain(held) {
            let last = self.session_states.get(&session).and_then(|state| state.attempts.last());
            let outcome = last.map_or(Outcome::Cancelled, |attempt| attempt.outcome);
            self.settle_session(session, outcome, format!("not retried: {reason}"));
        }
        for session in self.provision.cancel_all().into_iter().chain(self.environments.cancel_all()) {
            self.report_aborted(session, reason.to_owned());
            for abort in self.scheduler.finish_session(session, Outcome::Aborted) {
                self.report_aborted(abort.session, reason.to_owned());
            }
        }
        for session in self.scheduler.abort_waiting() {
            self.report_aborted(session, reason.to_owned());
        }
    }

    /// Sends SIGINT to all running attempts. With `by_ctrl_c`, an attempt that still succeeds counts as passed, as in nox.
    pub(super) fn stop_all_attempts(&mut self, reason: &str, by_ctrl_c: bool) {
        let (now, grace_ms) = (self.clock.now(), to_millis(self.context.options.grace_period));
        for attempt in self.running.values_mut() {
            let reason = StopReason { outcome: Outcome::Cancelled, reason: reason.to_owned(), by_ctrl_c };
            attempt.request_stop(reason, StopSignal::Interrupt, now, grace_ms);
        }
    }

    pub(super) fn handle_host_exit(&mut self) {
        let status = self.launcher.exit_description().map_or(String::new(), |status| format!(" ({status})"));
        let reason = format!("the process that loaded the noxfile died{status}");
        for (session, attempt) in &self.running {
            if !attempt.has_exited() {
                let report = ExitReport::crashed(self.manifest_index(*session), reason.clone());
                self.sender.send(RunMessage::Session(SessionEvent::Exited(report))).unwrap_or(());
            }
        }
        if !self.stopping {
            self.emit_event(EventKind::Notice { text: format!("{reason}: no more sessions can start") });
            self.stop_scheduling("host-died", &reason);
        }
    }
}

fn add_install(sum: &mut InstallStats, install: InstallStats) {
    sum.wall_ms += install.wall_ms;
    sum.commands += install.commands;
    sum.skipped += install.skipped;
}
