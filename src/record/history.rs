//! History: what past runs say of a session's usual time, CPU use and memory.

use std::collections::HashMap;

use super::imported::{Imported, plain};
use super::{Outcome, Record};
use crate::project::SessionName;

/// What a session usually costs: medians over the newest runs in which it passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usual {
    /// Wall time of the passing attempt, in milliseconds.
    pub wall: u64,
    /// CPU time, in milliseconds, where it was measured.
    pub cpu: Option<u64>,
    /// Peak memory, in bytes, where it was measured.
    pub memory: Option<u64>,
}

/// Usual costs by session.
#[derive(Clone, Debug, Default)]
pub struct History {
    sessions: HashMap<SessionName, Usual>,
    /// Wall times of imported jobs by their plain names; for sessions without a record.
    lent: HashMap<String, u64>,
}

impl History {
    /// How many of the newest runs lend their figures: enough to outvote one odd run, few enough to follow the code.
    pub const RUNS: usize = 9;

    /// Folds records, newest first.
    pub fn new(records: &[Record]) -> Self {
        let mut samples: HashMap<&SessionName, [Vec<u64>; 3]> = HashMap::new();
        for result in records.iter().flat_map(|r| &r.sessions).filter_map(|s| s.result.as_ref()) {
            let Some(last) = result.last().filter(|_| result.outcome == Outcome::Passed) else { continue };
            let [wall, cpu, memory] = samples.entry(&result.session).or_default();
            wall.push(last.end.saturating_sub(last.start));
            cpu.extend(last.cpu);
            memory.extend(last.peak_memory);
        }
        let usual = |[wall, cpu, memory]: [Vec<u64>; 3]| {
            Some(Usual { wall: median(wall)?, cpu: median(cpu), memory: median(memory) })
        };
        let sessions = samples.into_iter().filter_map(|(name, all)| Some((name.clone(), usual(all)?))).collect();
        Self { sessions, lent: HashMap::new() }
    }

    /// Adds what imported runs say: it counts for sessions that no record knows. The newest nine passes of a job lend
    /// their median; a job named like the session but for case and dashes is taken for it.
    #[must_use]
    pub fn lend(mut self, imported: &Imported) -> Self {
        let mut samples: HashMap<String, Vec<u64>> = HashMap::new();
        for job in imported.runs.iter().rev().flat_map(|run| &run.jobs).filter(|job| job.passed) {
            let walls = samples.entry(plain(&job.name)).or_default();
            walls.extend(job.wall.filter(|_| walls.len() < Self::RUNS));
        }
        self.lent = samples.into_iter().filter_map(|(name, walls)| Some((name, median(walls)?))).collect();
        self
    }

    /// What is known of one session.
    pub fn usual(&self, name: &SessionName) -> Option<Usual> {
        let lent = || {
            let wall = *self.lent.get(&plain(name.as_str()))?;
            Some(Usual { wall, cpu: None, memory: None })
        };
        self.sessions.get(name).copied().or_else(lent)
    }
}

/// The middle value; the lower one of two middles.
pub(super) fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied()
}
