//! Benchmark plan: the measurements and their order.

use clap::ValueEnum;
use serde::Serialize;

use crate::record::{RunRecord, SessionResult};
use crate::text::{format_duration, pluralize};

/// A command to compare; the first one is the baseline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BenchVariant {
    /// Name in tables.
    pub name: String,
    /// Program and arguments.
    pub command: Vec<String>,
}

/// State of the caches when a command starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BenchCacheState {
    /// A fresh copy of the project, an empty home, an empty uv cache.
    Cold,
    /// The copy and caches left by the command's previous run.
    Warm,
}

impl BenchCacheState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
        }
    }
}

/// Cache states that each round measures.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BenchCacheChoice {
    /// Cold, then warm.
    #[default]
    Both,
    /// Only cold.
    Cold,
    /// Only warm.
    Warm,
}

impl BenchCacheChoice {
    /// Returns the states, cold before warm.
    pub(crate) fn cache_states(self) -> Vec<BenchCacheState> {
        match self {
            Self::Both => vec![BenchCacheState::Cold, BenchCacheState::Warm],
            Self::Cold => vec![BenchCacheState::Cold],
            Self::Warm => vec![BenchCacheState::Warm],
        }
    }
}

/// Plan of a benchmark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BenchPlan {
    /// Commands to compare.
    pub variants: Vec<BenchVariant>,
    /// Number of measured rounds.
    pub rounds: usize,
    /// Number of rounds before these that are discarded.
    pub warmup_rounds: usize,
    /// Cache states to measure in each round, cold before warm.
    pub cache_states: Vec<BenchCacheState>,
}

/// One run of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BenchStep {
    /// Index of the round, or `None` in the warm-up.
    pub round: Option<usize>,
    /// Index of the command.
    pub variant: usize,
    /// State of the caches.
    pub caches: BenchCacheState,
    /// Whether the run only warms the caches and is not measured.
    pub is_preparation: bool,
}

impl BenchPlan {
    /// Default number of rounds: enough to detect a 10 % difference in 98 of 100 benchmarks whose runs vary by 3 % with
    /// one outlier in fifty. Ten rounds are too few for that.
    pub const DEFAULT_ROUNDS: usize = 12;

    /// Estimates the time of all measurements by a recorded run, in milliseconds: plain nox takes the sum of its sessions,
    /// every other command as long as the run. Cold runs take longer.
    pub(crate) fn estimate_ms(&self, run: &RunRecord) -> u64 {
        let results = run.sessions.iter().filter_map(|session| session.result.as_ref());
        let session_total: u64 = results.map(SessionResult::wall_time).sum();
        let time =
            |step: BenchStep| if self.variants[step.variant].name == "nox" { session_total } else { run.wall_ms };
        self.ordered_steps().into_iter().map(time).sum()
    }

    /// Describes how much is measured, with the estimate if there is one.
    pub(crate) fn describe_work(&self, estimate_ms: Option<u64>) -> String {
        let (runs, commands) =
            (pluralize(self.ordered_steps().len(), "run"), pluralize(self.variants.len(), "command"));
        let estimate = match estimate_ms {
            Some(ms) => format!("at least {}, by the last recorded run", format_duration(ms)),
            None => "how long they take is known after the first".to_owned(),
        };
        format!("{runs} of {commands}; {estimate}")
    }

    /// Returns all measurements in order.
    ///
    /// In each round every command runs once, and the order rotates from round to round, so that a busy minute or a
    /// cold disk cache affects all of them alike. If cold runs are measured, each leaves the caches for the warm run after
    /// it; otherwise each command runs once before all rounds.
    pub(crate) fn ordered_steps(&self) -> Vec<BenchStep> {
        let count = self.variants.len();
        let measures_only_warm = !self.cache_states.contains(&BenchCacheState::Cold);
        let warming_steps = (0..if measures_only_warm { count } else { 0 }).map(|variant| BenchStep {
            round: None,
            variant,
            caches: BenchCacheState::Cold,
            is_preparation: true,
        });
        let round_count = self.warmup_rounds + self.rounds;
        let rounds = (0..round_count).flat_map(|turn| {
            let order = (0..count).map(move |position| (position + turn) % count.max(1));
            let round = turn.checked_sub(self.warmup_rounds);
            order.flat_map(move |variant| {
                self.cache_states.iter().map(move |caches| BenchStep {
                    round,
                    variant,
                    caches: *caches,
                    is_preparation: false,
                })
            })
        });
        warming_steps.chain(rounds).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(caches: &[BenchCacheState], warmup: usize) -> BenchPlan {
        let variants =
            ["a", "b", "c"].map(|name| BenchVariant { name: name.to_owned(), command: vec![name.to_owned()] });
        BenchPlan { variants: variants.to_vec(), rounds: 3, warmup_rounds: warmup, cache_states: caches.to_vec() }
    }

    #[test]
    fn every_command_has_every_position_once() {
        let steps = plan(&[BenchCacheState::Cold, BenchCacheState::Warm], 0).ordered_steps();
        assert_eq!(steps.len(), 3 * 3 * 2);
        let cold: Vec<usize> = steps.iter().filter(|s| s.caches == BenchCacheState::Cold).map(|s| s.variant).collect();
        assert_eq!(cold, [0, 1, 2, 1, 2, 0, 2, 0, 1]);
        assert!(
            steps.chunks(2).all(|pair| pair[0].variant == pair[1].variant && pair[1].caches == BenchCacheState::Warm)
        );
    }

    #[test]
    fn unmeasured_steps_have_no_round() {
        let steps = plan(&[BenchCacheState::Warm], 1).ordered_steps();
        assert_eq!(steps.iter().filter(|step| step.is_preparation).count(), 3);
        assert_eq!(steps.iter().filter(|step| step.round.is_none()).count(), 6);
        assert_eq!(steps.last().unwrap().round, Some(2));
    }
}
