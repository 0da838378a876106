//! Memory pressure: whether so little is left that nothing more should start for now.

/// How long an answer counts, in milliseconds: asking costs a few reads below `/proc` and `/sys`.
const FRESH: u64 = 100;

/// Whether a new start is held back. Never while nothing runs: who waits then would wait for ever.
///
/// A sixteenth of the memory is kept free for what runs already, but 64 MiB at least and 1 GiB at most.
fn holds_back(available: Option<u64>, total: u64, running: usize) -> bool {
    let reserve = (total / 16).clamp(64 << 20, 1 << 30);
    running > 0 && available.is_some_and(|available| available < reserve)
}

/// What is known of the machine's memory while a run lasts.
#[derive(Debug)]
pub(super) struct Pressure {
    available: fn() -> Option<u64>,
    total: u64,
    asked: Option<u64>,
    answer: Option<u64>,
    told: bool,
}

impl Pressure {
    /// Watches the memory that `available` tells of; `total` is 0 where it is not known.
    pub(super) fn new(available: fn() -> Option<u64>, total: u64) -> Self {
        Self { available, total, asked: None, answer: None, told: false }
    }

    /// Whether a new start is held back now.
    pub(super) fn holds_back(&mut self, now: u64, running: usize) -> bool {
        if running == 0 {
            return false;
        }
        if self.asked.is_none_or(|asked| now.saturating_sub(asked) >= FRESH) {
            self.asked = Some(now);
            self.answer = (self.available)();
        }
        holds_back(self.answer, self.total, running)
    }

    /// What people are told of it, the first time it is asked for.
    pub(super) fn notice(&mut self) -> Option<String> {
        let left = self.answer.unwrap_or(0) >> 20;
        let first = !std::mem::replace(&mut self.told, true);
        first.then(|| format!("memory is short ({left} MiB left): sessions wait until others are over"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_kept_free_while_something_runs() {
        let gib = 1 << 30;
        assert!(holds_back(Some(100 << 20), 2 * gib, 1), "a sixteenth of 2 GiB is 128 MiB");
        assert!(!holds_back(Some(128 << 20), 2 * gib, 1));
        assert!(!holds_back(Some(0), 2 * gib, 0), "nothing runs");
        assert!(!holds_back(None, 2 * gib, 3), "nothing is known");
        assert!(holds_back(Some(63 << 20), 0, 1) && !holds_back(Some(64 << 20), 0, 1), "at least 64 MiB");
        assert!(holds_back(Some(gib - 1), 512 * gib, 1) && !holds_back(Some(gib), 512 * gib, 1), "at most 1 GiB");
    }

    #[test]
    fn an_answer_counts_for_a_while() {
        static CALLS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let mut pressure =
            Pressure::new(|| Some(CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed) * (1 << 40)), 0);
        assert!(!pressure.holds_back(0, 0));
        assert!(pressure.holds_back(0, 1) && pressure.holds_back(99, 1), "the first answer is 0 bytes");
        assert!(!pressure.holds_back(100, 1), "the second is plenty");
        assert_eq!(CALLS.load(std::sync::atomic::Ordering::Relaxed), 2);
    }
}
