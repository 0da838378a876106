//! Cost of restoring packages for a session compared with the install time it saves, measured from records.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::history::lower_median;
use super::{Outcome, RunRecord, RunStore, SessionResult};
use crate::project::SessionName;
use crate::text::format_duration;

/// Newest records that the costs are read from.
const MAX_COST_RECORDS: usize = 50;
/// Minimum number of runs of each kind.
const MIN_RUNS: usize = 3;

/// Install times of a session with and without restored packages: medians in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CacheCost {
    /// Restore time.
    pub(crate) restore_ms: u64,
    /// Install time after a restore.
    pub(crate) install_after_restore_ms: u64,
    /// Number of runs with a restore.
    pub(crate) restored_runs: usize,
    /// Install time without a restore.
    pub(crate) plain_install_ms: u64,
    /// Number of runs without a restore.
    pub(crate) plain_runs: usize,
}

impl CacheCost {
    /// Describes the measurement if restoring took longer than it saved.
    pub(crate) fn describe_loss(&self) -> Option<String> {
        let description = || {
            format!(
                "restoring its packages took {} (median of {} runs), then its installs took {}; without a restore its \
                 installs took {} (median of {} runs)",
                format_duration(self.restore_ms),
                self.restored_runs,
                format_duration(self.install_after_restore_ms),
                format_duration(self.plain_install_ms),
                self.plain_runs,
            )
        };
        (self.restore_ms + self.install_after_restore_ms > self.plain_install_ms).then(description)
    }

    /// Describes, by session name, the losses in the newest records of a project.
    pub(crate) fn load_losses(run_data_dir: &Path) -> BTreeMap<String, String> {
        let store = RunStore::open_existing(run_data_dir.to_owned());
        let records = store.map(|store| store.newest_records(MAX_COST_RECORDS)).unwrap_or_default();
        Self::describe_losses(&records)
    }

    /// Describes, by session name, the losses of the sessions in these records.
    pub(crate) fn describe_losses(records: &[RunRecord]) -> BTreeMap<String, String> {
        let results = records.iter().flat_map(|record| &record.sessions).filter_map(|session| session.result.as_ref());
        let costs = Self::measure_by_session(results).into_iter();
        costs.filter_map(|(name, cost)| Some((name.as_str().to_owned(), cost.describe_loss()?))).collect()
    }

    /// Measures the sessions that ran all their installs in at least three runs of each kind.
    pub(crate) fn measure_by_session<'a>(
        results: impl IntoIterator<Item = &'a SessionResult>,
    ) -> HashMap<SessionName, Self> {
        let mut samples: HashMap<&SessionName, [Vec<u64>; 3]> = HashMap::new();
        for result in results {
            // Skipped installs cost nothing, and those of a failed session may be incomplete.
            let complete = result.install.filter(|install| install.commands > 0 && install.skipped == 0);
            let Some(install) = complete.filter(|_| result.outcome == Outcome::Passed) else { continue };
            let [restore, after, without] = samples.entry(&result.session).or_default();
            match &result.cache {
                Some(cache) if cache.restored_bytes > 0 => {
                    restore.push(cache.restore_ms);
                    after.push(install.wall_ms);
                }
                // With packages already in uv's cache, the run measures neither a restore nor a plain install.
                Some(cache) if cache.hits > 0 => {}
                _ => without.push(install.wall_ms),
            }
        }
        let cost = |[restore, after, without]: [Vec<u64>; 3]| {
            let (restored, plain) = (restore.len(), without.len());
            let enough = restored >= MIN_RUNS && plain >= MIN_RUNS;
            let cost = || {
                Some(Self {
                    restore_ms: lower_median(restore)?,
                    install_after_restore_ms: lower_median(after)?,
                    restored_runs: restored,
                    plain_install_ms: lower_median(without)?,
                    plain_runs: plain,
                })
            };
            enough.then(cost).flatten()
        };
        samples.into_iter().filter_map(|(name, all)| Some((name.clone(), cost(all)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{CacheStats, InstallStats};

    fn run(bytes: u64, hits: u32, restore: u64, install: u64, skipped: u32) -> SessionResult {
        SessionResult {
            session: SessionName::new("lint"),
            outcome: Outcome::Passed,
            reason: String::new(),
            flaky: false,
            attempts: Vec::new(),
            install: Some(InstallStats { wall_ms: install, commands: 1, skipped }),
            cache: Some(CacheStats { hits, restored_bytes: bytes, restore_ms: restore, ..CacheStats::default() }),
            resources: None,
        }
    }

    #[test]
    fn a_restore_that_costs_more_than_it_saves_is_described() {
        let slow = [900, 1000, 1100].map(|restore| run(1, 3, restore, 500, 0));
        let plain = [1200, 1300, 1400].map(|install| run(0, 0, 0, install, 0));
        let all: Vec<SessionResult> = slow.iter().chain(&plain).cloned().collect();
        let cost = CacheCost::measure_by_session(&all)[&SessionName::new("lint")];
        assert_eq!(
            cost,
            CacheCost {
                restore_ms: 1000,
                install_after_restore_ms: 500,
                restored_runs: 3,
                plain_install_ms: 1300,
                plain_runs: 3
            }
        );
        assert_eq!(
            cost.describe_loss().unwrap(),
            "restoring its packages took 1.0s (median of 3 runs), then its installs took 500ms; without a restore its \
             installs took 1.3s (median of 3 runs)"
        );
        assert_eq!(CacheCost { plain_install_ms: 1600, ..cost }.describe_loss(), None);
        assert!(CacheCost::measure_by_session(&all[1..]).is_empty(), "two runs are not enough");
        let skipped = run(0, 0, 0, 1, 1);
        let cached = run(0, 3, 0, 1, 0);
        let more: Vec<SessionResult> = all.iter().cloned().chain([skipped, cached]).collect();
        assert_eq!(CacheCost::measure_by_session(&more)[&SessionName::new("lint")], cost, "neither measures installs");
    }
}
