//! How the dispatcher ends sessions: their answers, their logs, retries, and what a failure does to the rest.

use super::attempt::{Phase, Step, Told};
use super::clock::millis;
use super::dispatcher::{Dispatcher, Message};
use super::launch::{Answer, Finish};
use super::options::{FailFast, FlakyMode};
use super::process::Log;
use crate::record::{Fact, Outcome, SessionResult};

impl Dispatcher<'_> {
    pub(super) fn finished(&mut self, finish: Finish) {
        let Some(place) = self.place(finish.id) else { return };
        let at = self.clock.now();
        let leak = at.saturating_add(millis(self.given.options.leak_timeout));
        let Some(running) = self.running.get_mut(&place) else { return };
        let (until, step) = match running.phase {
            Phase::Working => (leak, None),
            // What it leaves behind is told to end as it was: its own fixtures may need the time.
            Phase::Ending { until, step } => (until, Some(step)),
            Phase::Draining { .. } => return,
        };
        running.phase = Phase::Draining { finish, at, until, step };
        self.drain(place, at);
    }

    pub(super) fn closed(&mut self, place: usize, number: u32) {
        let Some(running) = self.running.get_mut(&place).filter(|running| running.number == number) else { return };
        running.closed = true;
        self.drain(place, self.clock.now());
    }

    /// Concludes an attempt whose process is over, once nothing of it is worth waiting for.
    pub(super) fn drain(&mut self, place: usize, now: u64) {
        let grace = millis(self.given.options.grace);
        let Some(running) = self.running.get_mut(&place) else { return };
        let over = match running.phase {
            Phase::Draining { until, step: None, .. } => running.closed || now >= until,
            Phase::Draining { until, step: Some(step), .. } => {
                let over = running.is_gone() || (now >= until && step == Step::Kill);
                if !over && now >= until {
                    running.hasten(now, grace);
                }
                over
            }
            _ => false,
        };
        if over {
            self.conclude(place);
        }
    }

    /// The attempt is over: its log is whole, nothing of it writes any more.
    pub(super) fn conclude(&mut self, place: usize) {
        let Some(mut running) = self.running.remove(&place) else { return };
        let Phase::Draining { finish, at, .. } = std::mem::replace(&mut running.phase, Phase::Working) else { return };
        let failed = running.told.as_ref().map_or(finish.outcome, |told| told.outcome).is_failure();
        // What passed and let go of its output may have started something for others; that lives as long as the run.
        if let Some(tree) = running.tree().filter(|_| failed || finish.leaked || !running.closed) {
            tree.kill();
        }
        let (bytes, written) = running.log.take().map_or((0, Ok(())), Log::finish);
        let name = self.given.plan.sessions[place].facts.name.clone();
        if let Err(error) = written {
            self.emit(Fact::Notice { text: format!("the log of {name} is not whole: {error}") });
        }
        self.report_growth(place, &mut running, bytes);
        if let Some(install) = finish.install {
            let sum = self.installs.entry(place).or_default();
            sum.ms += install.ms;
            sum.commands += install.commands;
            sum.skipped += install.skipped;
        }
        let attempt = running.attempt(&finish, at, bytes);
        self.launcher.over(self.given.plan.sessions[place].id);
        let number = attempt.number;
        let again = failed && attempt.outcome != Outcome::Cancelled && !running.lost && !self.stopping;
        let raced = self.note_span(place, &attempt, again);
        let wait = self.given.plan.sessions[place].retries.wait_before(number).filter(|_| again);
        self.attempts.entry(place).or_default().push(attempt.clone());
        match (wait, raced) {
            (_, Some(raced)) => self.run_alone(place, running.slots, attempt, raced),
            (Some(wait), None) => {
                let delay = millis(wait);
                self.waiting_retry.insert(place, (self.clock.now().saturating_add(delay), running.slots));
                self.emit(Fact::SessionRetried { session: name, attempt, delay });
            }
            (None, None) => self.gather(place, attempt),
        }
    }

    /// The session is over for good.
    pub(super) fn settle(&mut self, place: usize, outcome: Outcome, reason: String) {
        let attempts = self.attempts.remove(&place).unwrap_or_default();
        let flaky = outcome == Outcome::Passed && attempts.len() > 1;
        let (outcome, reason) = match self.given.options.flaky {
            _ if flaky && self.raced(place).is_some() => {
                let raced = self.raced(place).cloned().unwrap_or_default();
                (outcome, format!("{raced}; it passed when it was run alone"))
            }
            FlakyMode::Fail if flaky => {
                (Outcome::Failed, format!("flaky: passed at attempt {}, which counts as failed here", attempts.len()))
            }
            _ => (outcome, reason),
        };
        let session = self.given.plan.sessions[place].facts.name.clone();
        self.failed |= outcome.is_failure();
        self.let_keep(place);
        let install = self.installs.remove(&place);
        let cache = self.given.plan.sessions[place].cache.clone();
        self.emit(Fact::SessionFinished(SessionResult { session, outcome, reason, flaky, attempts, install, cache }));
        for abort in self.scheduler.finish(place, outcome) {
            let because = self.given.plan.sessions[abort.because].facts.name.clone();
            let verdict = self.scheduler.outcome(abort.because).unwrap_or(Outcome::Aborted);
            self.never_started(abort.session, format!("requires {because}, which is {verdict}"));
        }
        if let Some(fail_fast) = self.given.options.fail_fast.filter(|_| outcome.is_failure() && !self.stopping) {
            self.stop("fail-fast", "the run ended at the first failure");
            if fail_fast == FailFast::Kill {
                self.end_all("another session failed (--fail-fast=kill)", Step::Interrupt);
            }
        }
    }

    pub(super) fn never_started(&mut self, place: usize, reason: String) {
        self.failed = true;
        let session = self.given.plan.sessions[place].facts.name.clone();
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
        self.emit(Fact::SessionFinished(result));
    }

    /// Nothing more starts; what waits is aborted.
    pub(super) fn stop(&mut self, cause: &str, reason: &str) {
        self.stopping = true;
        self.emit(Fact::RunInterrupted { cause: cause.to_owned() });
        let raced = self.give_up_races();
        for place in std::mem::take(&mut self.waiting_retry).into_keys().chain(raced) {
            let outcome =
                self.attempts.get(&place).and_then(|all| all.last()).map_or(Outcome::Cancelled, |a| a.outcome);
            self.settle(place, outcome, format!("not tried again: {reason}"));
        }
        self.stop_providing(reason);
        for place in self.scheduler.abort_waiting() {
            self.never_started(place, reason.to_owned());
        }
    }

    pub(super) fn end_all(&mut self, reason: &str, step: Step) {
        let (now, grace) = (self.clock.now(), millis(self.given.options.grace));
        for running in self.running.values_mut() {
            let told = Told { outcome: Outcome::Cancelled, reason: reason.to_owned() };
            running.end(told, step, now, grace);
        }
    }

    pub(super) fn host_gone(&mut self) {
        let how = self.launcher.last_words().map_or(String::new(), |words| format!(" ({words})"));
        let reason = format!("the process that holds nox and the noxfile died{how}");
        for (place, running) in &self.running {
            if !matches!(running.phase, Phase::Draining { .. }) {
                let id = self.given.plan.sessions[*place].id;
                let finish = Finish::crashed(id, reason.clone());
                self.sender.send(Message::Answer(Answer::Finished(finish))).unwrap_or(());
            }
        }
        if !self.stopping {
            self.emit(Fact::Notice { text: format!("{reason}: nothing more can be started") });
            self.stop("host", &reason);
        }
    }

    /// Gives up an attempt that was killed and is still not over: its host does not answer, or the kernel holds it.
    pub(super) fn give_up(&mut self, place: usize) {
        let Some(running) = self.running.get_mut(&place) else { return };
        running.lost = true;
        let id = self.given.plan.sessions[place].id;
        self.finished(Finish::crashed(id, "it was killed, and nothing was heard of its end".to_owned()));
    }
}
