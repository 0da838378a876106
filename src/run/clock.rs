//! The clock of a run: milliseconds since its start, standing still while the run is stopped.

use std::time::{Duration, Instant};

/// Measures a run; a stop by Ctrl-Z does not count.
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

    /// Milliseconds since the start.
    pub(super) fn now(&self) -> u64 {
        to_millis(self.started_at.elapsed().saturating_sub(self.paused))
    }

    /// Leaves out the time that `pause` takes.
    pub(super) fn exclude_pause(&mut self, pause: impl FnOnce()) {
        let since = Instant::now();
        pause();
        self.paused += since.elapsed();
    }
}

/// A duration in whole milliseconds.
pub(super) fn to_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_do_not_count() {
        let mut clock = RunClock::start();
        clock.exclude_pause(|| std::thread::sleep(Duration::from_millis(300)));
        assert!(clock.now() < 250, "{}", clock.now());
        assert_eq!(to_millis(Duration::MAX), u64::MAX);
    }
}
