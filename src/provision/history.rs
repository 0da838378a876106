//! Records of past runs and results of traces, cached like packages, so that a fresh checkout knows the durations of
//! sessions and which of them conflict.

use std::path::Path;

use super::provisioner::CacheProvisioner;
use crate::cache::NoProgress;
use crate::cache::store::{CacheMiss, DirectorySpec, EntryId};
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
        let directory = DirectorySpec::for_run_history(runs.restored_records_dir(), &project, names);
        if let Some(remote) = &mut self.remote {
            remote.download_versioned(&[directory.versioned_key()], &self.store, &NoProgress);
        }
        let result = self.store.restore_directory(&directory, &NoProgress);
        self.history_directory = Some(directory);
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

    /// Restores the results of traces of these sessions to a directory, and returns whether there were any. Does nothing
    /// outside CI, where the checkout has its own.
    pub(crate) fn restore_traces(&mut self, directory: &Path, names: &[&str]) -> bool {
        if !self.shares_history {
            return false;
        }
        let mut warnings = Vec::new();
        let project = self.load_session_keys(&mut warnings).project_name().to_owned();
        let spec = DirectorySpec::for_trace_results(directory.to_path_buf(), &project, names);
        if let Some(remote) = &mut self.remote {
            remote.download_versioned(&[spec.versioned_key()], &self.store, &NoProgress);
        }
        // Existing files are not replaced: conflicts of this checkout and accesses of another one would not match.
        let result =
            (!directory.join("conflicts.json").exists()).then(|| self.store.restore_directory(&spec, &NoProgress));
        self.trace_directory = Some(spec);
        self.warnings.append(&mut warnings);
        match result {
            Some(Ok(restored)) => {
                self.mark_used(EntryId::parse(&restored.entry).into_iter().collect());
                return true;
            }
            Some(Err(miss)) if miss.reason != CacheMiss::NOT_STORED => {
                self.warnings.push(format!("{}: {}", miss.name, miss.reason));
            }
            _ => {}
        }
        false
    }

    /// Saves the results of traces, if they were looked for before the run.
    pub(crate) fn save_traces(&mut self) {
        let Some(directory) = &self.trace_directory else { return };
        match self.store.save_directory(directory, &NoProgress) {
            Ok(saved) => self.mark_used(saved.and_then(|saved| EntryId::parse(&saved.entry)).into_iter().collect()),
            Err(failure) => self.warnings.push(format!("the results of traces were not saved: {}", failure.reason)),
        }
    }

    /// Saves the record of a run if its durations differ significantly from the history, so that other runs upload
    /// nothing.
    pub(crate) fn save_history(&mut self, runs: &RunStore, history: &SessionHistory, record: &RunRecord) {
        let Some(directory) = self.history_directory.as_ref().filter(|_| history.has_significant_change(record)) else {
            return;
        };
        let saved = match runs.add_restored_record(record) {
            Ok(()) => self.store.save_directory(directory, &NoProgress).map_err(|failure| failure.reason),
            Err(error) => Err(error.to_string()),
        };
        match saved {
            Ok(saved) => self.mark_used(saved.and_then(|saved| EntryId::parse(&saved.entry)).into_iter().collect()),
            Err(reason) => self.warnings.push(format!("the run's durations were not saved: {reason}")),
        }
    }
}
