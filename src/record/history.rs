//! History: what past runs say of a session's usual time, CPU use and memory.

use std::collections::HashMap;

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
        Self { sessions }
    }

    /// What is known of one session.
    pub fn usual(&self, name: &SessionName) -> Option<Usual> {
        self.sessions.get(name).copied()
    }
}

/// The middle value; the lower one of two middles.
fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied()
}
