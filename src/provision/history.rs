//! Records of past runs, cached like dependencies, so that the scheduler knows the durations of sessions on a fresh
//! checkout.

use super::provisioner::CacheProvisioner;
use crate::cache::NoProgress;
use crate::cache::store::{CacheMiss, EntryId, FolderSpec};
use crate::record::{RunRecord, RunStore, SessionHistory};

impl CacheProvisioner {
    /// Restores the records of past runs of these sessions, and returns whether there were any. Does nothing outside
    /// CI, where the checkout has its own records.
    pub(crate) fn restore_history(&mut self, runs: &RunStore, names: &[&str]) -> bool {
        if !self.shares_history {
            return false;
        }
        let mut warnings = Vec::new();
        let project = self.load_session_keys(&mut warnings).project_name().to_owned();
        let folder = FolderSpec::for_run_history(runs.restored_records_dir(), &project, names);
        if let Some(remote) = &mut self.remote {
            remote.download_versioned(&[folder.versioned_key()], &self.store, &NoProgress);
        }
        let result = self.store.restore_folder(&folder, &NoProgress);
        self.history_folder = Some(folder);
        self.warnings.append(&mut warnings);
        match result {
            Ok(restored) => {
                self.mark_used(EntryId::parse(&restored.entry).into_iter().collect());
                return true;
            }
            Err(miss) if miss.reason == CacheMiss::NOT_STORED => {}
            Err(miss) => self.warnings.push(format!("{}: {}", miss.name, miss.reason)),
        }
        false
    }

    /// Saves the record of a run if its durations differ significantly from the history, so that other runs upload
    /// nothing.
    pub(crate) fn save_history(&mut self, runs: &RunStore, history: &SessionHistory, record: &RunRecord) {
        let Some(folder) = self.history_folder.as_ref().filter(|_| history.has_significant_change(record)) else {
            return;
        };
        let saved = match runs.add_restored_record(record) {
            Ok(()) => self.store.save_folder(folder, &NoProgress).map_err(|failure| failure.reason),
            Err(error) => Err(error.to_string()),
        };
        match saved {
            Ok(saved) => self.mark_used(saved.and_then(|saved| EntryId::parse(&saved.entry)).into_iter().collect()),
            Err(reason) => self.warnings.push(format!("the run's durations were not saved: {reason}")),
        }
    }
}
