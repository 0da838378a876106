//! What signals and time do to a run: interruptions, stops, deadlines, growing logs.

use std::time::Duration;

use rustix::process::Signal;

use super::attempt::{Phase, Running, Step, Told};
use super::clock::millis;
use super::dispatcher::{Dispatcher, TICK};
use super::process::{Caught, Log, signal_group};
use crate::record::{Fact, Outcome};

impl Dispatcher<'_> {
    pub(super) fn caught(&mut self, caught: Caught) {
        match caught {
            Caught::End(signal) => self.interrupt(signal),
            Caught::Pause => self.pause(),
            Caught::Tell => self.subscriber.tell(),
            Caught::Resume | Caught::Resize => {}
        }
    }

    /// The first signal asks politely, each further one takes the next step at once.
    pub(super) fn interrupt(&mut self, signal: i32) {
        let name = Caught::name(signal);
        if self.ended_by.is_none() {
            self.ended_by = Some(signal);
            let reason = format!("the run was ended by {name}");
            self.stop(&name, &reason);
            return self.end_all(&reason, Step::Interrupt);
        }
        let (now, grace) = (self.clock.now(), millis(self.given.options.grace));
        for running in self.running.values_mut() {
            if let Phase::Ending { step, .. } = running.phase {
                running.step(step.next(), now, grace);
            }
        }
    }

    pub(super) fn pause(&mut self) {
        let groups: Vec<u32> = self.running.values().filter_map(|running| running.group).collect();
        for group in &groups {
            signal_group(*group, Signal::STOP);
        }
        self.clock.without(|| {
            // Returns when somebody continues us.
            let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
        });
        for group in groups {
            signal_group(group, Signal::CONT);
        }
    }

    pub(super) fn tick(&mut self) {
        let now = self.clock.now();
        let places: Vec<usize> = self.running.keys().copied().collect();
        for place in places {
            self.check(place, now);
        }
        if now.saturating_sub(self.last_tick) >= millis(TICK) {
            self.last_tick = now;
            let mut running = std::mem::take(&mut self.running);
            for (place, running) in &mut running {
                let bytes = running.log.as_ref().map_or(0, Log::bytes);
                self.report_growth(*place, running, bytes);
            }
            self.running = running;
            self.subscriber.tick(now);
        }
    }

    pub(super) fn report_growth(&mut self, place: usize, running: &mut Running, bytes: u64) {
        if bytes > running.reported {
            let session = self.given.plan.sessions[place].facts.name.clone();
            let from = std::mem::replace(&mut running.reported, bytes);
            running.grown = self.clock.now();
            self.emit(Fact::OutputGrew { session, attempt: running.number, from, to: bytes });
        }
    }

    /// Holds one attempt against its deadlines.
    pub(super) fn check(&mut self, place: usize, now: u64) {
        let session = &self.given.plan.sessions[place];
        let grace = millis(self.given.options.grace);
        let Some(running) = self.running.get_mut(&place) else { return };
        match running.phase {
            Phase::Draining { until, .. } if now >= until => self.conclude(place),
            Phase::Ending { step, until } if now >= until => running.step(step.next(), now, grace),
            Phase::Working => {
                let limit =
                    |limit: Duration| jiff::SignedDuration::try_from(limit).map_or(String::new(), |d| format!("{d:#}"));
                let timed_out = running.deadline.is_some_and(|deadline| now >= deadline);
                let silent = session.idle_timeout.filter(|idle| now.saturating_sub(running.grown) >= millis(*idle));
                let reason = match (session.timeout.filter(|_| timed_out), silent) {
                    (Some(timeout), _) => format!("still running after its timeout of {}", limit(timeout)),
                    (None, Some(idle)) => format!("silent for longer than its idle timeout of {}", limit(idle)),
                    (None, None) => return,
                };
                running.end(Told { outcome: Outcome::TimedOut, reason }, Step::Interrupt, now, grace);
            }
            _ => {}
        }
    }
}
