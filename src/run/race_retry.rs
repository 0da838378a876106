//! A session that failed beside one it conflicts with is run again with nothing beside it: what our running side by
//! side broke is no failure of the project, and no secret either.

use super::dispatcher::Dispatcher;
use crate::record::{AttemptResult, EventKind};

impl Dispatcher<'_> {
    /// Notes an attempt that is over and says with whom it raced, if it failed and was not told before.
    pub(super) fn record_attempt_span(
        &mut self,
        place: usize,
        attempt: &AttemptResult,
        failed: bool,
    ) -> Option<String> {
        let (start, end) = (attempt.start, attempt.end);
        let raced = if failed && !self.races.descriptions.contains_key(&place) {
            let over =
                self.races.attempt_spans.iter().filter(|(_, s, e)| *s < end && *e > start).map(|(other, ..)| *other);
            let others: Vec<usize> = over.chain(self.running.keys().copied()).filter(|other| *other != place).collect();
            let id = |place: usize| self.context.plan.sessions[place].id;
            others.into_iter().find_map(|other| {
                let race = self.launcher.find_race(id(place), id(other))?;
                let other = &self.context.plan.sessions[other].facts.name;
                Some(format!(
                    "raced with {other} on {}: it {}, {other} {}",
                    race.path, race.failed_action, race.other_action
                ))
            })
        } else {
            None
        };
        self.races.attempt_spans.push((place, start, end));
        raced
    }

    /// Has a session wait until nothing runs, and run once more then.
    pub(super) fn queue_exclusive_retry(
        &mut self,
        place: usize,
        slots: Vec<usize>,
        attempt: AttemptResult,
        raced: String,
    ) {
        let session = self.context.plan.sessions[place].facts.name.clone();
        self.emit_event(EventKind::Notice { text: format!("{session} failed and {raced}; it is run again alone") });
        self.emit_event(EventKind::SessionRetried { session, attempt, delay_ms: 0 });
        self.races.descriptions.insert(place, raced);
        self.races.pending_exclusive.push_back((place, slots));
    }

    /// Whether nothing else may start, because a session runs alone or waits to; starts it once it may.
    pub(super) fn exclusive_retry_pending(&mut self) -> bool {
        if self.races.running_exclusive.is_some_and(|place| self.running.contains_key(&place)) {
            return true;
        }
        self.races.running_exclusive = None;
        if self.races.pending_exclusive.is_empty() {
            return false;
        }
        if self.running.is_empty()
            && self.cleaning_up.is_empty()
            && let Some((place, slots)) = self.races.pending_exclusive.pop_front()
        {
            self.races.running_exclusive = Some(place);
            self.launch_attempt(place, slots);
        }
        true
    }

    /// What is to be said of a session that raced.
    pub(super) fn race_description(&self, place: usize) -> Option<&String> {
        self.races.descriptions.get(&place)
    }

    /// Those that will not be run alone any more, since the run ends.
    pub(super) fn drain_exclusive_retries(&mut self) -> Vec<usize> {
        self.races.pending_exclusive.drain(..).map(|(place, _)| place).collect()
    }
}
