//! Clock of a run, and the queue of sessions to retry.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::graph::PlanIndex;

/// Clock of a run: milliseconds since its start, without the time it was paused by Ctrl-Z.
#[derive(Debug)]
pub(super) struct RunClock {
    started_at: Instant,
    paused: Duration,
}

impl RunClock {
    /// Starts now.
    pub(super) fn start() -> Self {
        Self { started_at: Instant::now(), paused: Duration::ZERO }
    }

    /// Returns the milliseconds since the start.
    pub(super) fn now(&self) -> u64 {
        to_millis(self.started_at.elapsed().saturating_sub(self.paused))
    }

    /// Runs `pause` and excludes its duration from the clock.
    pub(super) fn exclude_pause(&mut self, pause: impl FnOnce()) {
        let since = Instant::now();
        pause();
        self.paused += since.elapsed();
    }
}

/// Returns a duration in whole milliseconds.
pub(super) fn to_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Failed sessions that will be retried; until then they hold their slots.
#[derive(Debug, Default)]
pub(super) struct RetryQueue {
    pending: BTreeMap<PlanIndex, PendingRetry>,
}

#[derive(Debug)]
struct PendingRetry {
    due_at: u64,
    slots: Vec<usize>,
}

impl RetryQueue {
    /// Schedules a retry for a time of the run's clock.
    pub(super) fn schedule(&mut self, session: PlanIndex, due_at: u64, slots: Vec<usize>) {
        self.pending.insert(session, PendingRetry { due_at, slots });
    }

    /// Removes and returns the sessions to start now, with their slots.
    pub(super) fn take_due(&mut self, now: u64) -> Vec<(PlanIndex, Vec<usize>)> {
        self.pending
            .extract_if(.., |_, retry| retry.due_at <= now)
            .map(|(session, retry)| (session, retry.slots))
            .collect()
    }

    /// Removes and returns all sessions: they will not be retried.
    pub(super) fn cancel_all(&mut self) -> Vec<PlanIndex> {
        std::mem::take(&mut self.pending).into_keys().collect()
    }

    /// Returns the milliseconds until the next retry is due; `None` without one.
    pub(super) fn until_next(&self, now: u64) -> Option<u64> {
        self.pending.values().map(|retry| retry.due_at.saturating_sub(now)).min()
    }

    /// Returns how many sessions will be retried.
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paused_time_is_excluded() {
        let mut clock = RunClock::start();
        clock.exclude_pause(|| std::thread::sleep(Duration::from_millis(300)));
        assert!(clock.now() < 250, "{}", clock.now());
        assert_eq!(to_millis(Duration::MAX), u64::MAX);
    }

    #[test]
    fn retries_are_taken_once_they_are_due() {
        let mut retries = RetryQueue::default();
        assert_eq!(retries.until_next(0), None);
        retries.schedule(PlanIndex(2), 100, vec![1]);
        retries.schedule(PlanIndex(1), 200, vec![0]);
        assert_eq!((retries.until_next(30), retries.until_next(150), retries.len()), (Some(70), Some(0), 2));
        assert_eq!(retries.take_due(99), []);
        assert_eq!(retries.take_due(100), [(PlanIndex(2), vec![1])]);
        assert_eq!(retries.cancel_all(), [PlanIndex(1)]);
    }
}
