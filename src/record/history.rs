//! Session history: usual time, CPU use and memory of sessions, from past runs.

use std::collections::HashMap;

use super::imported_runs::{ImportedRuns, normalize_job_name};
use super::{Outcome, RunRecord, SessionResult, SharedResources};
use crate::project::{CommandUse, Session, SessionName};

/// Usual resource use of a session: medians over the newest runs in which it passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsualStats {
    /// Wall time of the passing attempt, in milliseconds.
    pub wall_ms: u64,
    /// CPU time in milliseconds, if measured.
    pub cpu_ms: Option<u64>,
    /// Peak memory in bytes, if measured.
    pub peak_memory: Option<u64>,
}

/// Usual resource use by session.
#[derive(Clone, Debug, Default)]
pub struct SessionHistory {
    sessions: HashMap<SessionName, UsualStats>,
    /// Wall times of imported jobs by normalized name, for sessions without a record.
    imported_wall_ms: HashMap<String, u64>,
    /// Resources that each session shared in its newest runs, by session and definition; passed runs come first.
    shared: HashMap<SessionName, Vec<(Outcome, SharedResources)>>,
}

impl SessionHistory {
    /// Number of newest runs that are used: enough to outweigh one outlier, few enough to follow changes of the code.
    pub const MAX_RUNS: usize = 9;
    /// Smaller differences, in milliseconds, do not change a plan.
    pub(crate) const SIGNIFICANT_CHANGE_MS: u64 = 5_000;

    /// Computes the history of records, newest first.
    pub fn from_records(records: &[RunRecord]) -> Self {
        let mut samples: HashMap<&SessionName, [Vec<u64>; 3]> = HashMap::new();
        for result in records.iter().flat_map(|r| &r.sessions).filter_map(|s| s.result.as_ref()) {
            let Some(last) = result.last_attempt().filter(|_| result.outcome == Outcome::Passed) else { continue };
            let [wall, cpu, memory] = samples.entry(&result.session).or_default();
            wall.push(last.end.saturating_sub(last.start));
            cpu.extend(last.cpu_ms);
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
        let mut shared: HashMap<SessionName, Vec<(Outcome, SharedResources)>> = HashMap::new();
        for result in records.iter().flat_map(|r| &r.sessions).filter_map(|s| s.result.as_ref()) {
            if let Some(resources) = &result.resources {
                shared.entry(result.session.clone()).or_default().push((result.outcome, resources.clone()));
            }
        }
        shared.values_mut().for_each(|all| all.sort_by_key(|(outcome, _)| *outcome != Outcome::Passed));
        Self { sessions, imported_wall_ms: HashMap::new(), shared }
    }

    /// Adds imported runs, used for sessions without a record: the median of the newest nine passes of a job. Case and dashes of
    /// job and session names are ignored.
    #[must_use]
    pub(crate) fn with_imported_runs(mut self, imported: &ImportedRuns) -> Self {
        let mut samples: HashMap<String, Vec<u64>> = HashMap::new();
        for job in imported.runs.iter().rev().flat_map(|run| &run.jobs).filter(|job| job.passed) {
            let walls = samples.entry(normalize_job_name(&job.name)).or_default();
            walls.extend(job.wall_ms.filter(|_| walls.len() < Self::MAX_RUNS));
        }
        self.imported_wall_ms =
            samples.into_iter().filter_map(|(name, walls)| Some((name, lower_median(walls)?))).collect();
        self
    }

    /// Returns whether a run differs from the history: a passed session has no usual time, or took more than twice or less
    /// than half of it, and the difference exceeds [`Self::SIGNIFICANT_CHANGE_MS`]; or a session was changed and shares
    /// resources.
    pub(crate) fn has_significant_change(&self, record: &RunRecord) -> bool {
        let results = record.sessions.iter().filter_map(|session| session.result.as_ref());
        let is_known = |name: &SessionName, shared: &SharedResources| {
            let known = self.shared.get(name);
            known.is_some_and(|all| all.iter().any(|(_, other)| other.definition == shared.definition))
        };
        let shares_more = |result: &SessionResult| {
            let shared = result.resources.as_ref().filter(|shared| !shared.uses.is_empty());
            shared.is_some_and(|shared| !is_known(&result.session, shared))
        };
        if results.clone().any(shares_more) {
            return true;
        }
        let passed = results.filter(|result| result.outcome == Outcome::Passed);
        passed.filter_map(|result| Some((&result.session, result.last_attempt()?))).any(|(name, last)| {
            let wall = last.end.saturating_sub(last.start);
            self.usual_stats(name).is_none_or(|usual| {
                let (less, more) = (wall.min(usual.wall_ms), wall.max(usual.wall_ms));
                more > 2 * less && more - less > Self::SIGNIFICANT_CHANGE_MS
            })
        })
    }

    /// Returns the resources that a session's commands shared when it last ran as it is now defined, and whether it
    /// passed then; `None` if it has not run since it changed.
    pub(crate) fn shared_resources(&self, session: &Session) -> Option<(&[CommandUse], bool)> {
        let definition = session.definition_digest.as_ref()?;
        let known = self.shared.get(&session.name)?;
        let (outcome, found) = known.iter().find(|(_, shared)| shared.definition == *definition)?;
        Some((&found.uses, *outcome == Outcome::Passed))
    }

    /// Returns the usual resource use of a session.
    pub fn usual_stats(&self, name: &SessionName) -> Option<UsualStats> {
        let imported = || {
            let wall = *self.imported_wall_ms.get(&normalize_job_name(name.as_str()))?;
            Some(UsualStats { wall_ms: wall, cpu_ms: None, peak_memory: None })
        };
        self.sessions.get(name).copied().or_else(imported)
    }
}

/// Returns the median; the lower one of two middle values.
pub(crate) fn lower_median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Machine, RunStore};

    /// Returns a run with one session that passed after `wall` milliseconds.
    fn record(run: &str, wall: u64) -> RunRecord {
        let attempt = serde_json::json!({"number": 1, "outcome": "passed", "reason": "", "exit_status": 0, "signal": null, "start": 100,
            "end": 100 + wall, "cpu_ms": null, "peak_memory": null, "slots": [], "log": "l", "log_bytes": 0, "leaky": false});
        let result = serde_json::json!({"session": "one", "outcome": "passed", "reason": "", "flaky": false, "attempts": [attempt]});
        let session = serde_json::json!({"name": "one", "description": "", "needs": [], "locks": [], "exclusive": false, "cpus": 1, "usual_ms": null, "result": result});
        serde_json::from_value(
            serde_json::json!({"version": 3, "run_id": run, "started_at": "2026-01-01T00:00:00+00:00", "wall_ms": wall,
            "exit_code": 0, "interrupt_cause": null, "root": "/r", "commit": null, "slots": 2, "versions": [],
            "machine": Machine::detect(), "notices": [], "sessions": [session]}),
        )
        .unwrap()
    }

    #[test]
    fn unknown_or_very_different_times_are_significant() {
        let none = SessionHistory::default();
        assert!(none.has_significant_change(&record("1", 10)));
        let known = SessionHistory::from_records(&[record("1", 6_000)]);
        let significant =
            [999, 1_000, 6_000, 12_000, 12_001].map(|wall| known.has_significant_change(&record("2", wall)));
        assert_eq!(significant, [true, false, false, false, true]);
        let long = SessionHistory::from_records(&[record("1", 60_000)]);
        assert_eq!([29_999, 30_000].map(|wall| long.has_significant_change(&record("2", wall))), [true, false]);
        let short = SessionHistory::from_records(&[record("1", 10)]);
        assert!(
            !short.has_significant_change(&record("2", 5_010)) && short.has_significant_change(&record("2", 5_011)),
            "small differences are not significant"
        );
    }

    #[test]
    fn records_from_other_machines_count_as_local_ones() {
        let root = tempfile::tempdir().unwrap();
        let store = RunStore::open(root.path().join("data")).unwrap();
        for number in 0..12 {
            store
                .add_restored_record(&record(&format!("20260101-000000.000-0000{number:02}"), 1_000 + number))
                .unwrap();
        }
        let record_count = std::fs::read_dir(store.restored_records_dir()).unwrap().count();
        assert_eq!(record_count, SessionHistory::MAX_RUNS);
        let usual =
            |store: &RunStore| store.load_history().usual_stats(&SessionName::new("one")).map(|usual| usual.wall_ms);
        assert_eq!(usual(&store), Some(1_007), "median of the newest nine");
        // A run that is both local and in the history counts once.
        let run = store.run_dir("20260101-000000.000-000011");
        fs_err::create_dir_all(&run).unwrap();
        crate::record::write_record(&run, &record("20260101-000000.000-000011", 1_011)).unwrap();
        assert_eq!(usual(&store), Some(1_007));
        fs_err::write(store.restored_records_dir().join("z.json"), "not a record").unwrap();
        assert_eq!(usual(&store), Some(1_007), "unreadable records are skipped");
    }
}
