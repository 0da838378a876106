//! History: what past runs say of a session's usual time, CPU use and memory.

use std::collections::HashMap;

use super::imported_runs::{ImportedRuns, normalize_job_name};
use super::{Outcome, RunRecord};
use crate::project::SessionName;

/// What a session usually costs: medians over the newest runs in which it passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsualStats {
    /// Wall time of the passing attempt, in milliseconds.
    pub wall_ms: u64,
    /// CPU time, in milliseconds, where it was measured.
    pub cpu_ms: Option<u64>,
    /// Peak memory, in bytes, where it was measured.
    pub peak_memory: Option<u64>,
}

/// Usual costs by session.
#[derive(Clone, Debug, Default)]
pub struct SessionHistory {
    sessions: HashMap<SessionName, UsualStats>,
    /// Wall times of imported jobs by their plain names; for sessions without a record.
    imported_wall_ms: HashMap<String, u64>,
}

impl SessionHistory {
    /// How many of the newest runs lend their figures: enough to outvote one odd run, few enough to follow the code.
    pub const MAX_RUNS: usize = 9;
    /// Milliseconds by which times differ at least that change any plan.
    pub(crate) const SIGNIFICANT_CHANGE_MS: u64 = 5_000;

    /// Folds records, newest first.
    pub fn from_records(records: &[RunRecord]) -> Self {
        let mut samples: HashMap<&SessionName, [Vec<u64>; 3]> = HashMap::new();
        for result in records.iter().flat_map(|r| &r.sessions).filter_map(|s| s.result.as_ref()) {
            let Some(last) = result.last_attempt().filter(|_| result.outcome == Outcome::Passed) else { continue };
            let [wall, cpu, memory] = samples.entry(&result.session).or_default();
            wall.push(last.end.saturating_sub(last.start));
            cpu.extend(last.cpu);
            memory.extend(last.peak_memory);
        }
        let usual = |[wall, cpu, memory]: [Vec<u64>; 3]| {
            Some(UsualStats {
                wall_ms: lower_median(wall)?,
                cpu_ms: lower_median(cpu),
                peak_memory: lower_median(memory),
            })
        };
        let sessions = samples.into_iter().filter_map(|(name, all)| Some((name.clone(), usual(all)?))).collect();
        Self { sessions, imported_wall_ms: HashMap::new() }
    }

    /// Adds what imported runs say: it counts for sessions that no record knows. The newest nine passes of a job lend
    /// their median; a job named like the session but for case and dashes is taken for it.
    #[must_use]
    pub(crate) fn with_imported_runs(mut self, imported: &ImportedRuns) -> Self {
        let mut samples: HashMap<String, Vec<u64>> = HashMap::new();
        for job in imported.runs.iter().rev().flat_map(|run| &run.jobs).filter(|job| job.passed) {
            let walls = samples.entry(normalize_job_name(&job.name)).or_default();
            walls.extend(job.wall.filter(|_| walls.len() < Self::MAX_RUNS));
        }
        self.imported_wall_ms =
            samples.into_iter().filter_map(|(name, walls)| Some((name, lower_median(walls)?))).collect();
        self
    }

    /// Whether a run took otherwise than is known: a session that passed has no usual time yet, or that is twice or half
    /// of what it took, and by more than [`Self::NEWS`].
    pub(crate) fn has_significant_change(&self, record: &RunRecord) -> bool {
        let results = record.sessions.iter().filter_map(|session| session.result.as_ref());
        let passed = results.filter(|result| result.outcome == Outcome::Passed);
        passed.filter_map(|result| Some((&result.session, result.last_attempt()?))).any(|(name, last)| {
            let wall = last.end.saturating_sub(last.start);
            self.usual_stats(name).is_none_or(|usual| {
                let (less, more) = (wall.min(usual.wall_ms), wall.max(usual.wall_ms));
                more > 2 * less && more - less > Self::SIGNIFICANT_CHANGE_MS
            })
        })
    }

    /// What is known of one session.
    pub fn usual_stats(&self, name: &SessionName) -> Option<UsualStats> {
        let lent = || {
            let wall = *self.imported_wall_ms.get(&normalize_job_name(name.as_str()))?;
            Some(UsualStats { wall_ms: wall, cpu_ms: None, peak_memory: None })
        };
        self.sessions.get(name).copied().or_else(lent)
    }
}

/// The middle value; the lower one of two middles.
pub(super) fn lower_median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Machine, RunStore};

    /// A run with one session that passed after so many milliseconds.
    fn record(run: &str, wall: u64) -> RunRecord {
        let attempt = serde_json::json!({"number": 1, "outcome": "passed", "reason": "", "exit": 0, "signal": null, "start": 100,
            "end": 100 + wall, "cpu": null, "peak_memory": null, "slots": [], "log": "l", "log_bytes": 0, "leaky": false});
        let result = serde_json::json!({"session": "one", "outcome": "passed", "reason": "", "flaky": false, "attempts": [attempt]});
        let session = serde_json::json!({"name": "one", "description": "", "needs": [], "locks": [], "exclusive": false, "cpus": 1, "usual": null, "result": result});
        serde_json::from_value(
            serde_json::json!({"version": 1, "run": run, "time": "2026-01-01T00:00:00+00:00", "wall": wall,
            "exit": 0, "interrupted": null, "root": "/r", "commit": null, "slots": 2, "versions": [],
            "machine": Machine::detect(), "notices": [], "sessions": [session]}),
        )
        .unwrap()
    }

    #[test]
    fn news_is_what_was_not_known_or_is_far_off() {
        let none = SessionHistory::default();
        assert!(none.has_significant_change(&record("1", 10)));
        let known = SessionHistory::from_records(&[record("1", 6_000)]);
        let news = [999, 1_000, 6_000, 12_000, 12_001].map(|wall| known.has_significant_change(&record("2", wall)));
        assert_eq!(news, [true, false, false, false, true]);
        let long = SessionHistory::from_records(&[record("1", 60_000)]);
        assert_eq!([29_999, 30_000].map(|wall| long.has_significant_change(&record("2", wall))), [true, false]);
        let short = SessionHistory::from_records(&[record("1", 10)]);
        assert!(
            !short.has_significant_change(&record("2", 5_010)) && short.has_significant_change(&record("2", 5_011)),
            "moments change no plan"
        );
    }

    #[test]
    fn what_is_remembered_of_runs_elsewhere_counts_as_runs_here_do() {
        let root = tempfile::tempdir().unwrap();
        let folder = RunStore::open(root.path()).unwrap();
        for number in 0..12 {
            folder.add_history_record(&record(&format!("20260101-{number:02}"), 1_000 + number)).unwrap();
        }
        let left = std::fs::read_dir(folder.history_dir()).unwrap().count();
        assert_eq!(left, SessionHistory::MAX_RUNS);
        let usual =
            |folder: &RunStore| folder.load_history().usual_stats(&SessionName::new("one")).map(|usual| usual.wall_ms);
        assert_eq!(usual(&folder), Some(1_007), "the middle of the newest nine");
        // A run of this checkout that was brought back is one run.
        let run = folder.run_dir("20260101-11");
        fs_err::create_dir_all(&run).unwrap();
        crate::record::write_record(&run, &record("20260101-11", 1_011)).unwrap();
        assert_eq!(usual(&folder), Some(1_007));
        fs_err::write(folder.history_dir().join("z.json"), "no record").unwrap();
        assert_eq!(usual(&folder), Some(1_007), "what cannot be read is passed over");
    }
}
