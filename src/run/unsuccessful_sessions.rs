//! Unsuccessful sessions of the last run, for `--rerun`.

use std::ffi::OsString;

use super::crash_recovery::recover_killed_runs;
use crate::project::SessionName;
use crate::record::RunStore;

/// Sessions of the last run that neither passed nor were skipped.
#[derive(Debug)]
pub(crate) struct UnsuccessfulSessions {
    /// The last run.
    pub(crate) run_id: String,
    /// Their names, as arguments for nox.
    pub(crate) names: Vec<OsString>,
}

impl UnsuccessfulSessions {
    /// Returns those that `selected` names, or all; `None` if there is no run.
    pub(crate) fn from_last_run(store: &RunStore, selected: Option<&[OsString]>) -> Option<Self> {
        // Sessions of a killed noxide have not passed either. The notices are dropped: what could not be recovered is
        // tried again, and reported, when the run starts.
        recover_killed_runs(store);
        let last = store.newest_records(1).pop()?;
        let is_selected = |name: &&SessionName| {
            selected.is_none_or(|names| names.iter().any(|one| name.is_selected_by(&one.to_string_lossy())))
        };
        let names = last.unsuccessful_sessions().filter(is_selected).map(|name| name.as_str().into()).collect();
        Some(Self { run_id: last.run_id, names })
    }
}
