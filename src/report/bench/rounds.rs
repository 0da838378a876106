//! Execution of a benchmark plan by an executor: real commands, or a simulated clock in tests.

use serde::Serialize;

use super::plan::{BenchCacheState, BenchPlan, BenchStep};

/// Times of one run of a command, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BenchMeasurement {
    /// Wall time.
    pub wall: f64,
    /// Install time, summed over all sessions, if known.
    pub install: Option<f64>,
    /// Session time including installs, summed over all sessions, if known.
    pub session_time: Option<f64>,
}

/// One measured sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchSample {
    /// Index of the round.
    pub round: usize,
    /// Index of the command.
    pub variant: usize,
    /// State of the caches.
    pub cache_state: BenchCacheState,
    /// Wall time in seconds.
    pub wall: f64,
    /// Install time in seconds.
    pub install: Option<f64>,
    /// Work time in seconds: sessions without installs.
    pub work: Option<f64>,
}

/// Executes one step of a plan.
pub trait BenchExecutor {
    /// Error of the executor.
    type Error;

    /// Runs the command of a step and returns its times.
    ///
    /// # Errors
    /// If the command cannot be run or fails, or the benchmark was interrupted.
    fn run_step(&mut self, plan: &BenchPlan, step: BenchStep) -> Result<BenchMeasurement, Self::Error>;
}

/// Executes a plan and returns the measured samples.
///
/// # Errors
/// The first error of the executor.
pub fn run_rounds<E: BenchExecutor>(plan: &BenchPlan, executor: &mut E) -> Result<Vec<BenchSample>, E::Error> {
    let mut samples = Vec::new();
    for step in plan.ordered_steps() {
        let measured = executor.run_step(plan, step)?;
        let Some(round) = step.round.filter(|_| !step.is_preparation) else { continue };
        let work = measured.session_time.zip(measured.install).map(|(all, install)| (all - install).max(0.0));
        samples.push(BenchSample {
            round,
            variant: step.variant,
            cache_state: step.caches,
            wall: measured.wall,
            install: measured.install,
            work,
        });
    }
    Ok(samples)
}
