//! Retry budget: limits the total time that a run waits for a service.

use std::sync::Mutex;
use std::time::Duration;

/// Failures in a row after which the service is no longer used.
const MAX_CONSECUTIVE_FAILURES: u32 = 8;

/// Budget of waiting time for one service. Failed and slow requests and pauses between attempts reduce it. When it is exhausted,
/// or too many requests fail in a row, the service is not used for the rest of the run.
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
    /// Creates a budget.
    pub fn new(limit: Duration) -> Self {
        Self { limit, state: Mutex::new(BudgetState::default()) }
    }

    /// Returns the remaining time; `None` if the budget is exhausted.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        let state = self.lock_state();
        state
            .gave_up_reason
            .is_none()
            .then(|| self.limit.saturating_sub(state.waited))
            .filter(|remaining| !remaining.is_zero())
    }

    /// Returns why the service is no longer used.
    pub(crate) fn gave_up_reason(&self) -> Option<String> {
        self.lock_state().gave_up_reason.clone()
    }

    /// Records a successful request, which resets the count of failures but not the time. `delay` is how much longer it
    /// took than usual: slowness exhausts the budget as failures do, and `reason` is then reported.
    pub(crate) fn record_success(&self, delay: Duration, reason: &str) {
        let mut state = self.lock_state();
        state.consecutive_failures = 0;
        state.waited += delay;
        self.check_limit(&mut state, reason);
    }

    fn check_limit(&self, state: &mut BudgetState, reason: &str) {
        if state.waited >= self.limit {
            let limit = self.limit.as_secs();
            state.gave_up_reason.get_or_insert_with(|| format!("{reason}; gave up after waiting {limit} s in total"));
        }
    }

    /// Records a failed request and its duration; `reason` is reported if this exhausts the budget.
    pub(crate) fn record_failure(&self, duration: Duration, reason: &str) {
        let mut state = self.lock_state();
        state.waited += duration;
        state.consecutive_failures += 1;
        self.check_limit(&mut state, reason);
        if state.consecutive_failures >= MAX_CONSECUTIVE_FAILURES {
            let failures = state.consecutive_failures;
            state.gave_up_reason.get_or_insert_with(|| format!("{reason}; gave up after {failures} failures in a row"));
        }
    }

    /// Stops using the service immediately, for example because a token was refused.
    pub(crate) fn give_up(&self, reason: &str) {
        self.lock_state().gave_up_reason.get_or_insert_with(|| reason.to_owned());
    }

    /// Sleeps if the budget allows it, and returns whether it did.
    pub(crate) fn try_sleep(&self, pause: Duration, reason: &str) -> bool {
        match self.remaining() {
            Some(remaining) if pause < remaining => {
                std::thread::sleep(pause);
                self.lock_state().waited += pause;
                true
            }
            Some(_) => {
                self.give_up(&format!(
                    "{reason}; the next attempt would exceed the {} s that a run waits for one service",
                    self.limit.as_secs()
                ));
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
    fn the_budget_is_exhausted_after_its_limit() {
        let budget = RetryBudget::new(Duration::from_secs(3));
        budget.record_failure(Duration::from_secs(2), "slow");
        assert_eq!(budget.remaining(), Some(Duration::from_secs(1)));
        budget.record_failure(Duration::from_secs(2), "slow");
        assert_eq!(
            (budget.remaining(), budget.gave_up_reason()),
            (None, Some("slow; gave up after waiting 3 s in total".into()))
        );
        budget.give_up("other");
        assert!(budget.gave_up_reason().unwrap().starts_with("slow") && !budget.try_sleep(Duration::ZERO, "x"));
    }

    #[test]
    fn failures_in_a_row_exhaust_the_budget_and_a_success_resets_the_count() {
        let budget = RetryBudget::new(Duration::from_secs(30));
        for _ in 1..MAX_CONSECUTIVE_FAILURES {
            budget.record_failure(Duration::ZERO, "down");
        }
        budget.record_success(Duration::ZERO, "slow");
        budget.record_failure(Duration::ZERO, "down");
        assert_eq!(budget.gave_up_reason(), None);
        for _ in 1..MAX_CONSECUTIVE_FAILURES {
            budget.record_failure(Duration::ZERO, "down");
        }
        assert!(budget.gave_up_reason().unwrap().contains("8 failures in a row"));
    }

    #[test]
    fn slow_answers_exhaust_the_budget_too() {
        let budget = RetryBudget::new(Duration::from_secs(30));
        for _ in 0..5 {
            assert!(budget.remaining().is_some());
            budget.record_success(Duration::from_secs(6), "slow");
        }
        assert_eq!(budget.gave_up_reason().as_deref(), Some("slow; gave up after waiting 30 s in total"));
    }

    #[test]
    fn a_pause_longer_than_the_budget_is_refused() {
        let budget = RetryBudget::new(Duration::from_secs(30));
        assert!(budget.try_sleep(Duration::from_millis(1), "busy"));
        assert!(!budget.try_sleep(Duration::from_secs(60), "429"));
        assert!(budget.gave_up_reason().unwrap().contains("the next attempt would exceed the"));
    }
}
