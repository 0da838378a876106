//! What signals and time do to a run: interruptions, stops, deadlines, growing logs.

use std::time::Duration;

use rustix::process::Signal;

use super::attempt::{AttemptPhase, RunningAttempt, StopReason, StopSignal};
use super::clock::to_millis;
use super::dispatcher::{Dispatcher, TICK_INTERVAL};
use super::process::{LogWriter, SignalEvent, signal_group, suspend_all};
use super::timeout_context::timeout_context;
use crate::record::{EventKind, Outcome};

impl Dispatcher<'_> {
    pub(super) fn handle_signal(&mut self, caught: SignalEvent) {
        match caught {
            SignalEvent::Terminate(signal) => self.handle_interrupt(signal),
            SignalEvent::Pause => self.pause_run(),
            SignalEvent::ShowStatus => self.subscriber.on_status_request(),
            SignalEvent::Resume | SignalEvent::Resize => {}
        }
    }

    /// The first signal asks politely, each further one takes the next step at once.
    pub(super) fn handle_interrupt(&mut self, signal: i32) {
        let name = SignalEvent::signal_name(signal);
        if self.ending_signal.is_none() {
            self.ending_signal = Some(signal);
            let reason = format!("the run was ended by {name}");
            self.stop_scheduling(&name, &reason);
            return self.stop_all_attempts(&reason, StopSignal::Interrupt);
        }
        self.cancel_cleanup();
        let (now, grace) = (self.clock.now(), to_millis(self.context.options.grace_period));
        for running in self.running.values_mut() {
            running.escalate_stop(now, grace);
        }
    }

    pub(super) fn pause_run(&mut self) {
        let groups: Vec<u32> = self.running.values().filter_map(|running| running.group).collect();
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
        if now.saturating_sub(self.last_tick) >= to_millis(TICK_INTERVAL) {
            self.last_tick = now;
            let mut running = std::mem::take(&mut self.running);
            for (place, running) in &mut running {
                let bytes = running.log.as_ref().map_or(0, LogWriter::written_bytes);
                self.report_log_growth(*place, running, bytes);
                let heard = running.log.as_ref().map_or(0, LogWriter::received_bytes);
                if heard > running.received_bytes {
                    (running.received_bytes, running.last_output_at) = (heard, self.clock.now());
                }
            }
            self.running = running;
            self.report_restore_progress();
            self.subscriber.on_tick(now);
        }
        // After the growth: where the loop was held up, nobody counts as silent for that.
        let places: Vec<usize> = self.running.keys().copied().collect();
        for place in places {
            self.check_deadlines(place, now);
        }
    }

    pub(super) fn report_log_growth(&mut self, place: usize, running: &mut RunningAttempt, bytes: u64) {
        if bytes > running.reported_bytes {
            let session = self.context.plan.sessions[place].facts.name.clone();
            let from = std::mem::replace(&mut running.reported_bytes, bytes);
            self.emit_event(EventKind::OutputGrew {
                session,
                attempt: running.number,
                from_offset: from,
                to_offset: bytes,
            });
        }
    }

    /// Holds one attempt against its deadlines.
    pub(super) fn check_deadlines(&mut self, place: usize, now: u64) {
        let grace = to_millis(self.context.options.grace_period);
        let Some(running) = self.running.get_mut(&place) else { return };
        match running.phase {
            AttemptPhase::Draining { .. } => self.drain_attempt(place, now),
            AttemptPhase::Ending { last_signal: StopSignal::Kill, deadline: until } if now >= until => {
                self.abandon_attempt(place);
            }
            AttemptPhase::Ending { deadline: until, .. } if now >= until => running.escalate_stop(now, grace),
            AttemptPhase::Ending { .. } => {}
            AttemptPhase::Working => {
                if let Some(late) = self.exceeded_limit(place, now) {
                    self.stop_timed_out(place, &late, now, grace);
                }
            }
        }
    }

    /// Which limit a working attempt has passed, in words.
    fn exceeded_limit(&self, place: usize, now: u64) -> Option<String> {
        let (session, running) = (&self.context.plan.sessions[place], self.running.get(&place)?);
        let passed = |since: u64, limit: &Option<Duration>| {
            limit.filter(|limit| now.saturating_sub(since) >= to_millis(*limit)).map(format_limit)
        };
        passed(running.start, &session.timeout)
            .map(|limit| format!("still running after its timeout of {limit}"))
            .or_else(|| {
                passed(running.last_output_at, &session.idle_timeout)
                    .map(|limit| format!("silent for longer than its idle timeout of {limit}"))
            })
    }

    /// Ends an attempt that passed a limit, and says what it was at.
    fn stop_timed_out(&mut self, place: usize, late: &str, now: u64, grace: u64) {
        let Some(running) = self.running.get_mut(&place) else { return };
        let scene = self.context.redactor.redact_text(&timeout_context(running, self.context.folder));
        let told = StopReason { outcome: Outcome::TimedOut, reason: format!("{late}{scene}") };
        running.request_stop(told, StopSignal::Interrupt, now, grace);
    }
}

fn format_limit(limit: Duration) -> String {
    jiff::SignedDuration::try_from(limit).map_or(String::new(), |limit| format!("{limit:#}"))
}
