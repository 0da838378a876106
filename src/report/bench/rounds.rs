//! The rounds of a bench, carried out by whoever can: real commands, or a clock that is made up.

use serde::Serialize;

use super::plan::{BenchCacheState, BenchPlan, BenchStep};

/// What one run of a command took, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BenchMeasurement {
    /// From its start to its end.
    pub wall: f64,
    /// Installs of all sessions added up, where that could be told.
    pub install: Option<f64>,
    /// All time of sessions added up, installs included, where that could be told.
    pub session_time: Option<f64>,
}

/// One measurement that counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchSample {
    /// The round, from 0.
    pub round: usize,
    /// Which command, by its number.
    pub variant: usize,
    /// What it found.
    pub caches: BenchCacheState,
    /// Seconds from start to end.
    pub wall: f64,
    /// Seconds of installs.
    pub install: Option<f64>,
    /// Seconds of work: of sessions, without installs.
    pub work: Option<f64>,
}

/// Runs a step of a plan.
pub trait BenchExecutor {
    /// What may go wrong.
    type Error;

    /// Runs the command of a step and says what it took.
    ///
    /// # Errors
    /// When it cannot be run, fails, or the bench is to end.
    fn run_step(&mut self, plan: &BenchPlan, step: BenchStep) -> Result<BenchMeasurement, Self::Error>;
}

/// Carries out a plan and gives what counts.
///
/// # Errors
/// The first of the executor's.
pub fn run_rounds<E: BenchExecutor>(plan: &BenchPlan, executor: &mut E) -> Result<Vec<BenchSample>, E::Error> {
    let mut samples = Vec::new();
    for step in plan.ordered_steps() {
        let measured = executor.run_step(plan, step)?;
        let Some(round) = step.round.filter(|_| !step.warms_cache_only) else { continue };
        let work = measured.session_time.zip(measured.install).map(|(all, install)| (all - install).max(0.0));
        samples.push(BenchSample {
            round,
            variant: step.variant,
            caches: step.caches,
            wall: measured.wall,
            install: measured.install,
            work,
        });
    }
    Ok(samples)
}
