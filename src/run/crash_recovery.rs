//! Recovery of killed runs: their processes are killed and their records written from their events.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::process::kill_tagged_processes;
use crate::project::NoxfileManifest;
use crate::record::{RunStore, remember_run_data_dir};

/// Tag of a run, unique on the machine: every process of the run has it in its environment.
#[derive(Clone, Debug)]
pub(super) struct RunTag(String);

impl RunTag {
    /// Returns the tag of a run: its name, and the inode of its directory because projects are copied with their runs.
    pub(super) fn for_run(run_dir: &Path) -> std::io::Result<Self> {
        let metadata = fs_err::metadata(run_dir)?;
        let name = run_dir.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self(format!("{name}.{}.{}", metadata.dev(), metadata.ino())))
    }

    /// Returns the tag as text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the environment entry `NAME=value` with the tag.
    pub(super) fn env_entry(&self) -> String {
        format!("NOXIDE_RUN_TAG={}", self.0)
    }
}

/// Opens the store of a project's runs, or a temporary one, remembers where it is, and recovers killed runs. Returns
/// the store and notices.
///
/// # Errors
/// When no store can be created.
pub(crate) fn open_run_store(
    manifest: &NoxfileManifest,
    user_cache_dir: Option<&Path>,
) -> std::io::Result<(RunStore, Vec<String>)> {
    let (store, notice) = RunStore::open_or_temporary(manifest)?;
    let mut notices: Vec<String> = notice.into_iter().collect();
    let remembered = user_cache_dir.map_or(Ok(()), |dir| remember_run_data_dir(&manifest.root, store.path(), dir));
    if let Err(error) = remembered {
        notices.push(format!("`noxide report` will not find this run in {}: {error}", store.path().display()));
    }
    notices.extend(recover_killed_runs(&store));
    Ok((store, notices))
}

/// Kills the processes of runs whose noxide process was killed, and writes their records. Returns a notice for each
/// record that cannot be written.
pub(crate) fn recover_killed_runs(store: &RunStore) -> Vec<String> {
    let mut notices = Vec::new();
    for killed in store.find_killed_runs() {
        if let Ok(tag) = RunTag::for_run(&killed.run_dir) {
            kill_tagged_processes(&tag.env_entry());
        }
        if let Err(error) = store.recover_killed_run(&killed) {
            notices.push(format!("cannot write the record of run {}: {error}", killed.run_id));
        }
    }
    notices
}
