//! What signals and time do to a run: interruptions, stops, deadlines, growing logs.

use std::time::Duration;

use rustix::process::Signal;

use super::attempt::{Phase, Running, Step, Told};
use super::clock::millis;
use super::dispatcher::{Dispatcher, TICK};
use super::process::{Caught, Log, signal_group, stop_all};
use super::scene::scene;
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
        self.stop_gathering();
        let (now, grace) = (self.clock.now(), millis(self.given.options.grace));
        for running in self.running.values_mut() {
            running.hasten(now, grace);
        }
    }

    pub(super) fn pause(&mut self) {
        let groups: Vec<u32> = self.running.values().filter_map(|running| running.group).collect();
        for group in &groups {
            signal_group(*group, Signal::STOP);
        }
        self.clock.without(stop_all);
        for group in groups {
            signal_group(group, Signal::CONT);
        }
    }

    pub(super) fn tick(&mut self) {
        let now = self.clock.now();
        if now.saturating_sub(self.last_tick) >= millis(TICK) {
            self.last_tick = now;
            let mut running = std::mem::take(&mut self.running);
            for (place, running) in &mut running {
                let bytes = running.log.as_ref().map_or(0, Log::bytes);
                self.report_growth(*place, running, bytes);
                let heard = running.log.as_ref().map_or(0, Log::heard);
                if heard > running.heard {
                    (running.heard, running.grown) = (heard, self.clock.now());
                }
            }
            self.running = running;
            self.report_restore();
            self.subscriber.tick(now);
        }
        // After the growth: where the loop was held up, nobody counts as silent for that.
        let places: Vec<usize> = self.running.keys().copied().collect();
        for place in places {
            self.check(place, now);
        }
    }

    pub(super) fn report_growth(&mut self, place: usize, running: &mut Running, bytes: u64) {
        if bytes > running.reported {
            let session = self.given.plan.sessions[place].facts.name.clone();
            let from = std::mem::replace(&mut running.reported, bytes);
            self.emit(Fact::OutputGrew { session, attempt: running.number, from, to: bytes });
        }
    }

    /// Holds one attempt against its deadlines.
    pub(super) fn check(&mut self, place: usize, now: u64) {
        let grace = millis(self.given.options.grace);
        let Some(running) = self.running.get_mut(&place) else { return };
        match running.phase {
            Phase::Draining { .. } => self.drain(place, now),
            Phase::Ending { step: Step::Kill, until } if now >= until => self.give_up(place),
            Phase::Ending { until, .. } if now >= until => running.hasten(now, grace),
            Phase::Ending { .. } => {}
            Phase::Working => {
                if let Some(late) = self.late(place, now) {
                    self.end_late(place, &late, now, grace);
                }
            }
        }
    }

    /// Which limit a working attempt has passed, in words.
    fn late(&self, place: usize, now: u64) -> Option<String> {
        let (session, running) = (&self.given.plan.sessions[place], self.running.get(&place)?);
        let passed = |since: u64, limit: &Option<Duration>| {
            limit.filter(|limit| now.saturating_sub(since) >= millis(*limit)).map(in_words)
        };
        passed(running.start, &session.timeout)
            .map(|limit| format!("still running after its timeout of {limit}"))
            .or_else(|| {
                passed(running.grown, &session.idle_timeout)
                    .map(|limit| format!("silent for longer than its idle timeout of {limit}"))
            })
    }

    /// Ends an attempt that passed a limit, and says what it was at.
    fn end_late(&mut self, place: usize, late: &str, now: u64, grace: u64) {
        let Some(running) = self.running.get_mut(&place) else { return };
        let scene = self.given.mask.text(&scene(running, self.given.folder));
        let told = Told { outcome: Outcome::TimedOut, reason: format!("{late}{scene}") };
        running.end(told, Step::Interrupt, now, grace);
    }
}

fn in_words(limit: Duration) -> String {
    jiff::SignedDuration::try_from(limit).map_or(String::new(), |limit| format!("{limit:#}"))
}
