//! How the dispatcher ends sessions: their answers, their logs, retries, and what a failure does to the rest.

use super::attempt::{AttemptPhase, StopReason, StopSignal};
use super::clock::to_millis;
use super::dispatcher::{Dispatcher, RunMessage};
use super::launcher::{ExitReport, LaunchEvent};
use super::options::{FailFast, FlakyMode};
use super::process::LogWriter;
use crate::record::{EventKind, Outcome, SessionResult};

impl Dispatcher<'_> {
    pub(super) fn handle_finished(&mut self, finish: ExitReport) {
        let Some(place) = self.session_index(finish.id) else { return };
        let at = self.clock.now();
        let leak = at.saturating_add(to_millis(self.context.options.leak_timeout));
        let Some(running) = self.running.get_mut(&place) else { return };
        let (until, step) = match running.phase {
            AttemptPhase::Working => (leak, None),
            // What it leaves behind is told to end as it was: its own fixtures may need the time.
            AttemptPhase::Ending { deadline: until, last_signal: step } => (until, Some(step)),
            AttemptPhase::Draining { .. } => return,
        };
        running.phase =
            AttemptPhase::Draining { exit_report: finish, ended_at: at, deadline: until, last_signal: step };
        self.drain_attempt(place, at);
    }

    pub(super) fn handle_output_closed(&mut self, place: usize, number: u32) {
        let Some(running) = self.running.get_mut(&place).filter(|running| running.number == number) else { return };
        running.output_closed = true;
        self.drain_attempt(place, self.clock.now());
    }

    /// Concludes an attempt whose process is over, once nothing of it is worth waiting for.
    pub(super) fn drain_attempt(&mut self, place: usize, now: u64) {
        let grace = to_millis(self.context.options.grace_period);
        let Some(running) = self.running.get_mut(&place) else { return };
        let over = match running.phase {
            AttemptPhase::Draining { deadline: until, last_signal: None, .. } => running.output_closed || now >= until,
            AttemptPhase::Draining { deadline: until, last_signal: Some(step), .. } => {
                let over = running.is_gone() || (now >= until && step == StopSignal::Kill);
                if !over && now >= until {
                    running.escalate_stop(now, grace);
                }
                over
            }
            _ => false,
        };
        if over {
            self.conclude_attempt(place);
        }
    }

    /// The attempt is over: its log is whole, nothing of it writes any more.
    pub(super) fn conclude_attempt(&mut self, place: usize) {
        let Some(mut running) = self.running.remove(&place) else { return };
        let AttemptPhase::Draining { exit_report: finish, ended_at: at, .. } =
            std::mem::replace(&mut running.phase, AttemptPhase::Working)
        else {
            return;
        };
        let failed = running.stop_reason.as_ref().map_or(finish.outcome, |told| told.outcome).is_failure();
        // What passed and let go of its output may have started something for others; that lives as long as the run.
        if let Some(tree) = running.process_tree().filter(|_| failed || finish.leaked || !running.output_closed) {
            tree.kill_all();
        }
        let (bytes, written) = running.log.take().map_or((0, Ok(())), LogWriter::finish);
        let name = self.context.plan.sessions[place].facts.name.clone();
        if let Err(error) = written {
            self.emit_event(EventKind::Notice { text: format!("the log of {name} is not whole: {error}") });
        }
        self.report_log_growth(place, &mut running, bytes);
        if let Some(install) = finish.install {
            let sum = self.installs.entry(place).or_default();
            sum.wall_ms += install.wall_ms;
            sum.commands += install.commands;
            sum.skipped += install.skipped;
        }
        let attempt = running.to_attempt(&finish, at, bytes);
        self.launcher.attempt_over(self.context.plan.sessions[place].id);
        let number = attempt.number;
        let again = failed && attempt.outcome != Outcome::Cancelled && !running.abandoned && !self.stopping;
        let raced = self.record_attempt_span(place, &attempt, again);
        let wait = self.context.plan.sessions[place].retries.delay_before(number).filter(|_| again);
        self.attempts.entry(place).or_default().push(attempt.clone());
        match (wait, raced) {
            (_, Some(raced)) => self.queue_exclusive_retry(place, running.slots, attempt, raced),
            (Some(wait), None) => {
                let delay = to_millis(wait);
                self.pending_retries.insert(place, (self.clock.now().saturating_add(delay), running.slots));
                self.emit_event(EventKind::SessionRetried { session: name, attempt, delay_ms: delay });
            }
            (None, None) => self.clean_up_session(place, attempt),
        }
    }

    /// The session is over for good.
    pub(super) fn settle_session(&mut self, place: usize, outcome: Outcome, reason: String) {
        let attempts = self.attempts.remove(&place).unwrap_or_default();
        let flaky = outcome == Outcome::Passed && attempts.len() > 1;
        let (outcome, reason) = match self.context.options.flaky_mode {
            _ if flaky && self.race_description(place).is_some() => {
                let raced = self.race_description(place).cloned().unwrap_or_default();
                (outcome, format!("{raced}; it passed when it was run alone"))
            }
            FlakyMode::Fail if flaky => {
                (Outcome::Failed, format!("flaky: passed at attempt {}, which counts as failed here", attempts.len()))
            }
            _ => (outcome, reason),
        };
        let session = self.context.plan.sessions[place].facts.name.clone();
        self.failed |= outcome.is_failure();
        self.queue_save(place);
        let install = self.installs.remove(&place);
        let cache = self.context.plan.sessions[place].cache.clone();
        self.emit_event(EventKind::SessionFinished(SessionResult {
            session,
            outcome,
            reason,
            flaky,
            attempts,
            install,
            cache,
        }));
        for abort in self.scheduler.finish_session(place, outcome) {
            let because = self.context.plan.sessions[abort.failed_requirement].facts.name.clone();
            let verdict = self.scheduler.outcome(abort.failed_requirement).unwrap_or(Outcome::Aborted);
            self.report_never_started(abort.session, format!("requires {because}, which is {verdict}"));
        }
        if let Some(fail_fast) = self.context.options.fail_fast.filter(|_| outcome.is_failure() && !self.stopping) {
            self.stop_scheduling("fail-fast", "the run ended at the first failure");
            if fail_fast == FailFast::Kill {
                self.stop_all_attempts("another session failed (--fail-fast=kill)", StopSignal::Interrupt);
            }
        }
    }

    pub(super) fn report_never_started(&mut self, place: usize, reason: String) {
        self.failed = true;
        let session = self.context.plan.sessions[place].facts.name.clone();
        let attempts = self.attempts.remove(&place).unwrap_or_default();
        let result = SessionResult {
            session,
            outcome: Outcome::Aborted,
            reason,
            flaky: false,
            attempts,
            install: None,
            cache: None,
        };
        self.emit_event(EventKind::SessionFinished(result));
    }

    /// Nothing more starts; what waits is aborted.
    pub(super) fn stop_scheduling(&mut self, cause: &str, reason: &str) {
        self.stopping = true;
        self.emit_event(EventKind::RunInterrupted { cause: cause.to_owned() });
        let raced = self.drain_exclusive_retries();
        for place in std::mem::take(&mut self.pending_retries).into_keys().chain(raced) {
            let outcome =
                self.attempts.get(&place).and_then(|all| all.last()).map_or(Outcome::Cancelled, |a| a.outcome);
            self.settle_session(place, outcome, format!("not tried again: {reason}"));
        }
        self.cancel_provisioning(reason);
        for place in self.scheduler.abort_waiting() {
            self.report_never_started(place, reason.to_owned());
        }
    }

    pub(super) fn stop_all_attempts(&mut self, reason: &str, step: StopSignal) {
        let (now, grace) = (self.clock.now(), to_millis(self.context.options.grace_period));
        for running in self.running.values_mut() {
            let told = StopReason { outcome: Outcome::Cancelled, reason: reason.to_owned() };
            running.request_stop(told, step, now, grace);
        }
    }

    pub(super) fn handle_host_exit(&mut self) {
        let how = self.launcher.exit_description().map_or(String::new(), |words| format!(" ({words})"));
        let reason = format!("the process that holds nox and the noxfile died{how}");
        for (place, running) in &self.running {
            if !matches!(running.phase, AttemptPhase::Draining { .. }) {
                let id = self.context.plan.sessions[*place].id;
                let finish = ExitReport::crashed(id, reason.clone());
                self.sender.send(RunMessage::Launch(LaunchEvent::Finished(finish))).unwrap_or(());
            }
        }
        if !self.stopping {
            self.emit_event(EventKind::Notice { text: format!("{reason}: nothing more can be started") });
            self.stop_scheduling("host", &reason);
        }
    }

    /// Gives up an attempt that was killed and is still not over: its host does not answer, or the kernel holds it.
    pub(super) fn abandon_attempt(&mut self, place: usize) {
        let Some(running) = self.running.get_mut(&place) else { return };
        running.abandoned = true;
        let id = self.context.plan.sessions[place].id;
        self.handle_finished(ExitReport::crashed(id, "it was killed, and nothing was heard of its end".to_owned()));
    }
}
