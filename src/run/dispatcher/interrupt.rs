//! Signals and time: interruptions, pauses, deadlines, growing logs.

use rustix::process::Signal;
use signal_hook::consts::SIGINT;

use super::{Dispatcher, TICK_INTERVAL};
use crate::project::ManifestIndex;
use crate::record::{EventKind, Outcome};
use crate::run::attempt::{AttemptLimits, DeadlineAction, RunningAttempt, StopReason, StopSignal};
use crate::run::graph::PlanIndex;
use crate::run::process::{SignalEvent, signal_group, suspend_all};
use crate::run::run_clock::to_millis;

impl Dispatcher<'_> {
    pub(super) fn handle_signal(&mut self, signal: SignalEvent) {
        match signal {
            SignalEvent::End(signal) => self.handle_interrupt(signal),
            SignalEvent::Pause => self.pause_run(),
            SignalEvent::ShowStatus => self.subscriber.on_status_request(),
            SignalEvent::Resume | SignalEvent::Resize => {}
        }
    }

    /// The first signal sends SIGINT to all sessions; each further one sends the next stronger signal at once.
    fn handle_interrupt(&mut self, signal: i32) {
        if self.ending_signal.is_none() {
            self.ending_signal = Some(signal);
            let name = SignalEvent::signal_name(signal);
            let reason = format!("interrupted by {name}");
            self.stop_scheduling(&name, &reason);
            return self.stop_all_attempts(&reason, signal == SIGINT);
        }
        self.cleanups.cancel();
        let (now, grace_ms) = (self.clock.now(), to_millis(self.context.options.grace_period));
        for attempt in self.running.values_mut() {
            if attempt.is_stopping() {
                attempt.escalate_stop(now, grace_ms);
            } else {
                // It went on after the first signal.
                let reason = format!("interrupted by {}", SignalEvent::signal_name(signal));
                let reason = StopReason { outcome: Outcome::Cancelled, reason, by_ctrl_c: signal == SIGINT };
                attempt.request_stop(reason, StopSignal::Interrupt, now, grace_ms);
            }
        }
    }

    /// Gives a session the time that nox itself waits for the interrupted command, on top of the grace period.
    pub(super) fn extend_grace(&mut self, id: ManifestIndex, timeout_ms: Option<u64>) {
        let (now, grace_ms) = (self.clock.now(), to_millis(self.context.options.grace_period));
        let session = self.plan_index(id);
        if let Some(attempt) = session.and_then(|session| self.running.get_mut(&session)) {
            attempt.extend_grace(timeout_ms, now, grace_ms);
        }
    }

    /// Lets a session go on after a command that exited with 0 on Ctrl-C, as nox does; not after its timeout.
    pub(super) fn handle_clean_exit_on_interrupt(&mut self, id: ManifestIndex) {
        let session = self.plan_index(id);
        let attempt = session.and_then(|session| self.running.get_mut(&session));
        let allowed = attempt.is_some_and(RunningAttempt::resume);
        self.launcher.allow_continue(id, allowed);
    }

    fn pause_run(&mut self) {
        let groups: Vec<u32> = self.running.values().filter_map(RunningAttempt::process_group).collect();
        for group in &groups {
            signal_group(*group, Signal::STOP);
        }
        self.clock.exclude_pause(suspend_all);
        for group in groups {
            signal_group(group, Signal::CONT);
        }
    }

    pub(super) fn handle_tick(&mut self) {
        let now = self.clock.now();
        let sessions: Vec<PlanIndex> = self.running.keys().copied().collect();
        if now.saturating_sub(self.last_tick) >= to_millis(TICK_INTERVAL) {
            self.last_tick = now;
            for session in &sessions {
                let Some(attempt) = self.running.get_mut(session) else { continue };
                attempt.note_output(self.clock.now());
                let (number, growth) = (attempt.number(), attempt.take_log_growth());
                self.report_log_growth(*session, number, growth);
            }
            self.report_restore_progress();
            self.subscriber.on_tick(now);
        }
        // Only after `note_output`, so that a delay of this loop does not trigger an idle timeout.
        for session in sessions {
            self.check_deadlines(session, now);
        }
    }

    pub(super) fn report_log_growth(&mut self, session: PlanIndex, attempt: u32, growth: Option<(u64, u64)>) {
        if let Some((from, to)) = growth {
            self.emit_event(EventKind::OutputGrew {
                session: self.session_name(session),
                attempt,
                from_offset: from,
                to_offset: to,
            });
        }
    }

    /// Reports the progress of a slow restore.
    fn report_restore_progress(&mut self) {
        let Some((id, done)) = self.provision.slow_restore() else { return };
        if let Some(session) = self.plan_index(id) {
            self.emit_event(EventKind::SessionRestoring { session: self.session_name(session), progress: done });
        }
    }

    fn check_deadlines(&mut self, session: PlanIndex, now: u64) {
        let planned = &self.context.plan[session];
        let grace_ms = to_millis(self.context.options.grace_period);
        let limits = AttemptLimits { timeout: planned.timeout, idle_timeout: planned.idle_timeout, grace_ms };
        let Some(attempt) = self.running.get_mut(&session) else { return };
        match attempt.check_deadlines(now, &limits) {
            DeadlineAction::Wait => {}
            DeadlineAction::Conclude => self.conclude_attempt(session),
            DeadlineAction::TimedOut(limit) => {
                let redactor = &self.context.redactor;
                let activity = redactor.redact_text(&attempt.describe_activity(self.context.run_dir, redactor));
                let reason =
                    StopReason { outcome: Outcome::TimedOut, reason: format!("{limit}{activity}"), by_ctrl_c: false };
                attempt.request_stop(reason, StopSignal::Interrupt, now, grace_ms);
            }
        }
    }
}
