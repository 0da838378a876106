//! How long a run waits for a cache in all, and when it asks no more.

use std::sync::Mutex;
use std::time::Duration;

/// Failures in a row after which nobody asks any more.
const MAX_CONSECUTIVE_FAILURES: u32 = 8;

/// One budget for all waiting on one service: failed requests and pauses between tries take from it; when it is spent,
/// or nothing but failures came, the service is left alone for the rest of the run.
#[derive(Debug)]
pub struct RetryBudget {
    limit: Duration,
    state: Mutex<BudgetState>,
}

#[derive(Debug, Default)]
struct BudgetState {
    waited: Duration,
    consecutive_failures: u32,
    gave_up_reason: Option<String>,
}

impl RetryBudget {
    /// A budget.
    pub fn new(limit: Duration) -> Self {
        Self { limit, state: Mutex::new(BudgetState::default()) }
    }

    /// What is left; none once it is over.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        let state = self.lock_state();
        state.gave_up_reason.is_none().then(|| self.limit.saturating_sub(state.waited)).filter(|left| !left.is_zero())
    }

    /// Why nobody asks any more.
    pub(crate) fn gave_up_reason(&self) -> Option<String> {
        self.lock_state().gave_up_reason.clone()
    }

    /// A request went well: what failed before it is forgotten, what was waited is not.
    pub(crate) fn record_success(&self) {
        self.lock_state().consecutive_failures = 0;
    }

    /// A request took so long for nothing; `why` is told when that was the last straw.
    pub(crate) fn record_failure(&self, took: Duration, why: &str) {
        let mut state = self.lock_state();
        state.waited += took;
        state.consecutive_failures += 1;
        if state.waited >= self.limit {
            let limit = self.limit.as_secs();
            state.gave_up_reason.get_or_insert_with(|| format!("{why}; given up after waiting {limit} s in all"));
        } else if state.consecutive_failures >= MAX_CONSECUTIVE_FAILURES {
            let failures = state.consecutive_failures;
            state.gave_up_reason.get_or_insert_with(|| format!("{why}; given up after {failures} failures in a row"));
        }
    }

    /// Gives up at once, as where a token is refused.
    pub(crate) fn give_up(&self, why: &str) {
        self.lock_state().gave_up_reason.get_or_insert_with(|| why.to_owned());
    }

    /// Sleeps, if the budget has room for it.
    pub(crate) fn try_sleep(&self, pause: Duration, why: &str) -> bool {
        match self.remaining() {
            Some(left) if pause < left => {
                std::thread::sleep(pause);
                self.lock_state().waited += pause;
                true
            }
            Some(_) => {
                self.give_up(&format!("{why}; it asks for a pause of {} s", pause.as_secs()));
                false
            }
            None => false,
        }
    }

    fn lock_state(&self) -> std::sync::MutexGuard<'_, BudgetState> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_it_is_spent() {
        let patience = RetryBudget::new(Duration::from_secs(3));
        patience.record_failure(Duration::from_secs(2), "slow");
        assert_eq!(patience.remaining(), Some(Duration::from_secs(1)));
        patience.record_failure(Duration::from_secs(2), "slow");
        assert_eq!(
            (patience.remaining(), patience.gave_up_reason()),
            (None, Some("slow; given up after waiting 3 s in all".into()))
        );
        patience.give_up("other");
        assert!(patience.gave_up_reason().unwrap().starts_with("slow") && !patience.try_sleep(Duration::ZERO, "x"));
    }

    #[test]
    fn failures_in_a_row_end_it_and_a_success_starts_again() {
        let patience = RetryBudget::new(Duration::from_secs(30));
        for _ in 1..MAX_CONSECUTIVE_FAILURES {
            patience.record_failure(Duration::ZERO, "down");
        }
        patience.record_success();
        patience.record_failure(Duration::ZERO, "down");
        assert_eq!(patience.gave_up_reason(), None);
        for _ in 1..MAX_CONSECUTIVE_FAILURES {
            patience.record_failure(Duration::ZERO, "down");
        }
        assert!(patience.gave_up_reason().unwrap().contains("8 failures in a row"));
    }

    #[test]
    fn a_pause_that_does_not_fit_is_not_made() {
        let patience = RetryBudget::new(Duration::from_secs(30));
        assert!(patience.try_sleep(Duration::from_millis(1), "busy"));
        assert!(!patience.try_sleep(Duration::from_secs(60), "429"));
        assert!(patience.gave_up_reason().unwrap().contains("pause of 60 s"));
    }
}
