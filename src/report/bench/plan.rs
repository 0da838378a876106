//! What a bench will measure, in which order.

use serde::Serialize;

/// One of the commands that are compared; the first is what the others are compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BenchVariant {
    /// As it is called in tables.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<String>,
}

/// What a command finds when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BenchCacheState {
    /// A new copy of the project, an empty home, an empty uv cache.
    Cold,
    /// The copy and the caches that its own run before has left.
    Warm,
}

impl BenchCacheState {
    /// In tables.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
        }
    }
}

/// What will be measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BenchPlan {
    /// The commands.
    pub variants: Vec<BenchVariant>,
    /// Rounds that count.
    pub rounds: usize,
    /// Rounds before these that do not.
    pub warmup: usize,
    /// What is measured in each round, cold before warm.
    pub caches: Vec<BenchCacheState>,
}

/// One measurement of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BenchStep {
    /// The number of the round, from 0; those of the warm-up are none.
    pub round: Option<usize>,
    /// Which of the variants.
    pub variant: usize,
    /// What it finds.
    pub caches: BenchCacheState,
    /// Whether the command runs only so that there is something warm.
    pub warms_cache_only: bool,
}

impl BenchPlan {
    /// Rounds where nobody says how many: enough that a difference of 10 %, either way, is found
    /// in 98 of 100 benches where runs differ by some 3 % and one of fifty is disturbed; ten are not.
    pub const DEFAULT_ROUNDS: usize = 12;

    /// Every measurement in its order.
    ///
    /// In each round every command has its turn, and the order turns from round to round: a busy minute, or a disk
    /// that gets warmer, falls on all of them alike. Where cold runs are measured, each leaves what the warm run after
    /// it finds; otherwise each command runs once before all rounds.
    pub(crate) fn ordered_steps(&self) -> Vec<BenchStep> {
        let count = self.variants.len();
        let warm_only = !self.caches.contains(&BenchCacheState::Cold);
        let prepared = (0..if warm_only { count } else { 0 }).map(|variant| BenchStep {
            round: None,
            variant,
            caches: BenchCacheState::Cold,
            warms_cache_only: true,
        });
        let all = self.warmup + self.rounds;
        let turns = (0..all).flat_map(|turn| {
            let order = (0..count).map(move |place| (place + turn) % count.max(1));
            let round = turn.checked_sub(self.warmup);
            order.flat_map(move |variant| {
                self.caches.iter().map(move |caches| BenchStep {
                    round,
                    variant,
                    caches: *caches,
                    warms_cache_only: false,
                })
            })
        });
        prepared.chain(turns).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(caches: &[BenchCacheState], warmup: usize) -> BenchPlan {
        let variants =
            ["a", "b", "c"].map(|name| BenchVariant { name: name.to_owned(), command: vec![name.to_owned()] });
        BenchPlan { variants: variants.to_vec(), rounds: 3, warmup, caches: caches.to_vec() }
    }

    #[test]
    fn every_command_has_every_place_once() {
        let steps = plan(&[BenchCacheState::Cold, BenchCacheState::Warm], 0).ordered_steps();
        assert_eq!(steps.len(), 3 * 3 * 2);
        let cold: Vec<usize> = steps.iter().filter(|s| s.caches == BenchCacheState::Cold).map(|s| s.variant).collect();
        assert_eq!(cold, [0, 1, 2, 1, 2, 0, 2, 0, 1]);
        assert!(
            steps.chunks(2).all(|pair| pair[0].variant == pair[1].variant && pair[1].caches == BenchCacheState::Warm)
        );
    }

    #[test]
    fn what_does_not_count_has_no_round() {
        let steps = plan(&[BenchCacheState::Warm], 1).ordered_steps();
        assert_eq!(steps.iter().filter(|step| step.warms_cache_only).count(), 3);
        assert_eq!(steps.iter().filter(|step| step.round.is_none()).count(), 6);
        assert_eq!(steps.last().unwrap().round, Some(2));
    }
}
