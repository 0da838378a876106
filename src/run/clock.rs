//! The clock of a run: milliseconds since its start, standing still while the run is stopped.

use std::time::{Duration, Instant};

/// Measures a run; a stop by Ctrl-Z does not count.
#[derive(Debug)]
pub(super) struct Clock {
    origin: Instant,
    stopped: Duration,
}

impl Clock {
    /// Starts now.
    pub(super) fn start() -> Self {
        Self { origin: Instant::now(), stopped: Duration::ZERO }
    }

    /// Milliseconds since the start.
    pub(super) fn now(&self) -> u64 {
        millis(self.origin.elapsed().saturating_sub(self.stopped))
    }

    /// Leaves out the time that `pause` takes.
    pub(super) fn without(&mut self, pause: impl FnOnce()) {
        let since = Instant::now();
        pause();
        self.stopped += since.elapsed();
    }
}

/// A duration in whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_do_not_count() {
        let mut clock = Clock::start();
        clock.without(|| std::thread::sleep(Duration::from_millis(300)));
        assert!(clock.now() < 250, "{}", clock.now());
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }
}
