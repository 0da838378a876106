//! Memory pressure: whether so little is left that nothing more should start for now.

/// How long an answer counts, in milliseconds: asking costs a few reads below `/proc` and `/sys`.
const SAMPLE_LIFETIME_MS: u64 = 100;

/// Whether a new start is held back. Never while nothing runs: who waits then would wait for ever.
///
/// A sixteenth of the memory is kept free for what runs already, but 64 MiB at least and 1 GiB at most.
fn is_below_reserve(available: Option<u64>, total: u64, running: usize) -> bool {
    let reserve = (total / 16).clamp(64 << 20, 1 << 30);
    running > 0 && available.is_some_and(|available| available < reserve)
}

/// What is known of the machine's memory while a run lasts.
#[derive(Debug)]
pub(super) struct MemoryPressure {
    read_available: fn() -> Option<u64>,
    total: u64,
    sampled_at: Option<u64>,
    last_sample: Option<u64>,
    notified: bool,
}

impl MemoryPressure {
    /// Watches the memory that `available` tells of; `total` is 0 where it is not known.
    pub(super) fn new(available: fn() -> Option<u64>, total: u64) -> Self {
        Self { read_available: available, total, sampled_at: None, last_sample: None, notified: false }
    }

    /// Whether a new start is held back now.
    pub(super) fn should_hold_start(&mut self, now: u64, running: usize) -> bool {
        if running == 0 {
            return false;
        }
        if self.sampled_at.is_none_or(|asked| now.saturating_sub(asked) >= SAMPLE_LIFETIME_MS) {
            self.sampled_at = Some(now);
            self.last_sample = (self.read_available)();
        }
        is_below_reserve(self.last_sample, self.total, running)
    }

    /// What people are told of it, the first time it is asked for.
    pub(super) fn first_notice(&mut self) -> Option<String> {
        let left = self.last_sample.unwrap_or(0) >> 20;
        let first = !std::mem::replace(&mut self.notified, true);
        first.then(|| format!("memory is short ({left} MiB left): sessions wait until others are over"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_kept_free_while_something_runs() {
        let gib = 1 << 30;
        assert!(is_below_reserve(Some(100 << 20), 2 * gib, 1), "a sixteenth of 2 GiB is 128 MiB");
        assert!(!is_below_reserve(Some(128 << 20), 2 * gib, 1));
        assert!(!is_below_reserve(Some(0), 2 * gib, 0), "nothing runs");
        assert!(!is_below_reserve(None, 2 * gib, 3), "nothing is known");
        assert!(is_below_reserve(Some(63 << 20), 0, 1) && !is_below_reserve(Some(64 << 20), 0, 1), "at least 64 MiB");
        assert!(
            is_below_reserve(Some(gib - 1), 512 * gib, 1) && !is_below_reserve(Some(gib), 512 * gib, 1),
            "at most 1 GiB"
        );
    }

    #[test]
    fn an_answer_counts_for_a_while() {
        static CALLS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let mut pressure =
            MemoryPressure::new(|| Some(CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed) * (1 << 40)), 0);
        assert!(!pressure.should_hold_start(0, 0));
        assert!(pressure.should_hold_start(0, 1) && pressure.should_hold_start(99, 1), "the first answer is 0 bytes");
        assert!(!pressure.should_hold_start(100, 1), "the second is plenty");
        assert_eq!(CALLS.load(std::sync::atomic::Ordering::Relaxed), 2);
    }
}
