//! How long a run waits for a cache in all, and when it asks no more.

use std::sync::Mutex;
use std::time::Duration;

/// Failures in a row after which nobody asks any more.
const MOST_FAILURES: u32 = 8;

/// One budget for all waiting on one service: failed requests and pauses between tries take from it; when it is spent,
/// or nothing but failures came, the service is left alone for the rest of the run.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waited: Duration,
    failures: u32,
    over: Option<String>,
}

impl Patience {
    /// A budget.
    pub fn new(limit: Duration) -> Self {
        Self { limit, state: Mutex::new(State::default()) }
    }

    /// What is left; none once it is over.
    pub fn left(&self) -> Option<Duration> {
        let state = self.state();
        state.over.is_none().then(|| self.limit.saturating_sub(state.waited)).filter(|left| !left.is_zero())
    }

    /// Why nobody asks any more.
    pub fn over(&self) -> Option<String> {
        self.state().over.clone()
    }

    /// A request went well: what failed before it is forgotten, what was waited is not.
    pub fn success(&self) {
        self.state().failures = 0;
    }

    /// A request took so long for nothing; `why` is told when that was the last straw.
    pub fn failure(&self, took: Duration, why: &str) {
        let mut state = self.state();
        state.waited += took;
        state.failures += 1;
        if state.waited >= self.limit {
            let limit = self.limit.as_secs();
            state.over.get_or_insert_with(|| format!("{why}; given up after waiting {limit} s in all"));
        } else if state.failures >= MOST_FAILURES {
            let failures = state.failures;
            state.over.get_or_insert_with(|| format!("{why}; given up after {failures} failures in a row"));
        }
    }

    /// Gives up at once, as where a token is refused.
    pub fn give_up(&self, why: &str) {
        self.state().over.get_or_insert_with(|| why.to_owned());
    }

    /// Sleeps, if the budget has room for it.
    pub fn pause(&self, pause: Duration, why: &str) -> bool {
        match self.left() {
            Some(left) if pause < left => {
                std::thread::sleep(pause);
                self.state().waited += pause;
                true
            }
            Some(_) => {
                self.give_up(&format!("{why}; it asks for a pause of {} s", pause.as_secs()));
                false
            }
            None => false,
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_it_is_spent() {
        let patience = Patience::new(Duration::from_secs(3));
        patience.failure(Duration::from_secs(2), "slow");
        assert_eq!(patience.left(), Some(Duration::from_secs(1)));
        patience.failure(Duration::from_secs(2), "slow");
        assert_eq!((patience.left(), patience.over()), (None, Some("slow; given up after waiting 3 s in all".into())));
        patience.give_up("other");
        assert!(patience.over().unwrap().starts_with("slow") && !patience.pause(Duration::ZERO, "x"));
    }

    #[test]
    fn failures_in_a_row_end_it_and_a_success_starts_again() {
        let patience = Patience::new(Duration::from_secs(30));
        for _ in 1..MOST_FAILURES {
            patience.failure(Duration::ZERO, "down");
        }
        patience.success();
        patience.failure(Duration::ZERO, "down");
        assert_eq!(patience.over(), None);
        for _ in 1..MOST_FAILURES {
            patience.failure(Duration::ZERO, "down");
        }
        assert!(patience.over().unwrap().contains("8 failures in a row"));
    }

    #[test]
    fn a_pause_that_does_not_fit_is_not_made() {
        let patience = Patience::new(Duration::from_secs(30));
        assert!(patience.pause(Duration::from_millis(1), "busy"));
        assert!(!patience.pause(Duration::from_secs(60), "429"));
        assert!(patience.over().unwrap().contains("pause of 60 s"));
    }
}
