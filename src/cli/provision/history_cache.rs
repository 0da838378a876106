//! What sessions usually take, kept with their dependencies: so a runner whose checkout is fresh starts the long ones first.

use super::cache_provisioner::CacheProvisioner;
use crate::cache::NoProgress;
use crate::cache::store::{CacheMiss, EntryId, FolderSpec};
use crate::output::is_ci;
use crate::record::{RunRecord, RunStore, SessionHistory};

impl CacheProvisioner {
    /// Brings records of past runs of sessions of these names; says whether there were any. Not where people work: their
    /// checkout knows its own.
    pub(in crate::cli) fn restore_history(&mut self, folder: &RunStore, names: &[&str]) -> bool {
        if self.remote.is_none() && !is_ci() {
            return false;
        }
        let mut troubles = Vec::new();
        let project = self.load_session_keys(&mut troubles).project_name().to_owned();
        let kept = FolderSpec::for_run_history(folder.history_dir(), &project, names);
        if let Some(elsewhere) = &mut self.remote {
            elsewhere.download_versioned(&[kept.versioned_key()], &self.store, &NoProgress);
        }
        let done = self.store.restore_folder(&kept, &NoProgress);
        self.history_folder = Some(kept);
        self.warnings.append(&mut troubles);
        match done {
            Ok(restored) => {
                self.mark_used(EntryId::parse(&restored.entry).into_iter().collect());
                return true;
            }
            Err(miss) if miss.reason == CacheMiss::NOT_STORED => {}
            Err(miss) => self.warnings.push(format!("{}: {}", miss.name, miss.reason)),
        }
        false
    }

    /// Keeps the record of a run that took otherwise than was known. One that did not is not kept: a run that found
    /// nothing new sends nothing.
    pub(in crate::cli) fn save_history(&mut self, folder: &RunStore, history: &SessionHistory, record: &RunRecord) {
        let Some(kept) = self.history_folder.as_ref().filter(|_| history.has_significant_change(record)) else {
            return;
        };
        let kept = match folder.add_history_record(record) {
            Ok(()) => self.store.save_folder(kept, &NoProgress).map_err(|not| format!("{}: {}", not.name, not.reason)),
            Err(error) => Err(error.to_string()),
        };
        match kept {
            Ok(saved) => self.mark_used(saved.and_then(|saved| EntryId::parse(&saved.entry)).into_iter().collect()),
            Err(why) => self.warnings.push(format!("what sessions took is not kept: {why}")),
        }
    }
}
