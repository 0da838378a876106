//! A session that failed beside one it conflicts with is run again with nothing beside it: what our running side by
//! side broke is no failure of the project, and no secret either.

use super::dispatcher::Dispatcher;
use crate::record::{Attempt, Fact};

impl Dispatcher<'_> {
    /// Notes an attempt that is over and says with whom it raced, if it failed and was not told before.
    pub(super) fn note_span(&mut self, place: usize, attempt: &Attempt, failed: bool) -> Option<String> {
        let (start, end) = (attempt.start, attempt.end);
        let raced = if failed && !self.racing.raced.contains_key(&place) {
            let over = self.racing.spans.iter().filter(|(_, s, e)| *s < end && *e > start).map(|(other, ..)| *other);
            let others: Vec<usize> = over.chain(self.running.keys().copied()).filter(|other| *other != place).collect();
            let id = |place: usize| self.given.plan.sessions[place].id;
            others.into_iter().find_map(|other| {
                let race = self.launcher.race(id(place), id(other))?;
                let other = &self.given.plan.sessions[other].facts.name;
                Some(format!("raced with {other} on {}: it {}, {other} {}", race.path, race.failed, race.other))
            })
        } else {
            None
        };
        self.racing.spans.push((place, start, end));
        raced
    }

    /// Has a session wait until nothing runs, and run once more then.
    pub(super) fn run_alone(&mut self, place: usize, slots: Vec<usize>, attempt: Attempt, raced: String) {
        let session = self.given.plan.sessions[place].facts.name.clone();
        self.emit(Fact::Notice { text: format!("{session} failed and {raced}; it is run again alone") });
        self.emit(Fact::SessionRetried { session, attempt, delay: 0 });
        self.racing.raced.insert(place, raced);
        self.racing.waiting.push_back((place, slots));
    }

    /// Whether nothing else may start, because a session runs alone or waits to; starts it once it may.
    pub(super) fn is_for_one(&mut self) -> bool {
        if self.racing.alone.is_some_and(|place| self.running.contains_key(&place)) {
            return true;
        }
        self.racing.alone = None;
        if self.racing.waiting.is_empty() {
            return false;
        }
        if self.running.is_empty()
            && self.gathering.is_empty()
            && let Some((place, slots)) = self.racing.waiting.pop_front()
        {
            self.racing.alone = Some(place);
            self.launch(place, slots);
        }
        true
    }

    /// What is to be said of a session that raced.
    pub(super) fn raced(&self, place: usize) -> Option<&String> {
        self.racing.raced.get(&place)
    }

    /// Those that will not be run alone any more, since the run ends.
    pub(super) fn give_up_races(&mut self) -> Vec<usize> {
        self.racing.waiting.drain(..).map(|(place, _)| place).collect()
    }
}
