//! Resources of sessions, passed in their environment: CPU share, temporary directory, jobserver.

use std::env::var_os;
use std::path::{Path, PathBuf};

use super::graph::PlanIndex;
use super::jobserver::{MakeJobserver, make_supports_fifo};
use super::plan::PlannedSession;
use crate::record::RunTempDir;

/// Variables from which tools read how many workers to start.
const WORKER_COUNT_VARIABLES: [&str; 3] = ["PYTEST_XDIST_AUTO_NUM_WORKERS", "TEST_PROCESSES", "PABOT_PROCESSES"];

/// Resources that the sessions of a run share.
#[derive(Debug)]
pub struct SessionResources {
    temp_dirs: Option<RunTempDir>,
    jobserver: Option<MakeJobserver>,
    /// Those of [`WORKER_COUNT_VARIABLES`] that the user has not set.
    worker_variables: Vec<&'static str>,
}

impl SessionResources {
    /// Prepares the resources of a run. Omits those that cannot be created, and returns notices about them.
    pub fn new(run_dir: &Path, slots: usize) -> (Self, Vec<String>) {
        let mut notices = Vec::new();
        let temp_dirs = RunTempDir::create(run_dir)
            .map_err(|error| {
                let problem = "cannot create a temporary directory for each session";
                notices.push(format!("{problem}: {error}; they share the system's"));
            })
            .ok();
        let use_jobserver = var_os("MAKEFLAGS").is_none() && make_supports_fifo(var_os("PATH").as_deref());
        // Without a jobserver, make, cargo and ninja use all CPUs, as under nox.
        let jobserver = temp_dirs
            .as_ref()
            .filter(|_| use_jobserver)
            .and_then(|dirs| MakeJobserver::create(dirs.path(), slots).ok());
        let worker_variables = WORKER_COUNT_VARIABLES.into_iter().filter(|name| var_os(name).is_none()).collect();
        (Self { temp_dirs, jobserver, worker_variables }, notices)
    }

    /// Returns the variables of a session that is about to start. Variables from settings override them.
    pub(super) fn session_env(
        &self,
        session: PlanIndex,
        planned: &PlannedSession,
        slots: &[usize],
    ) -> Vec<(String, String)> {
        let slot = slots.first().copied().unwrap_or(0);
        let mut variables = vec![
            ("NOXIDE_SLOT".to_owned(), slot.to_string()),
            ("NOXIDE_SESSION".to_owned(), planned.spec.name.as_str().to_owned()),
        ];
        let share = planned.worker_share.to_string();
        variables.extend(self.worker_variables.iter().map(|name| ((*name).to_owned(), share.clone())));
        let is_set = |name: &str| planned.env.iter().any(|(known, _)| known == name);
        let temp_dirs = self.temp_dirs.as_ref().filter(|_| !is_set("TMPDIR"));
        if let Some(directory) = temp_dirs.and_then(|dirs| dirs.session_dir(session.0).ok()) {
            variables.push(("TMPDIR".to_owned(), directory.display().to_string()));
        }
        variables.extend(self.jobserver.as_ref().map(|jobserver| ("MAKEFLAGS".to_owned(), jobserver.makeflags())));
        variables
    }

    /// Replaces jobserver tokens that killed processes did not return; call it only while no session runs.
    pub(super) fn refill_jobserver(&self) {
        if let Some(jobserver) = &self.jobserver {
            jobserver.refill_tokens();
        }
    }

    /// Returns a session's temporary directory, if it exists.
    pub(super) fn temp_dir_path(&self, session: PlanIndex) -> Option<PathBuf> {
        let directory = self.temp_dirs.as_ref()?.path().join(session.to_string());
        directory.is_dir().then_some(directory)
    }

    /// Recycles an empty temporary directory for another session; returns false if it is not empty.
    pub(super) fn recycle_temp_dir(&self, directory: &Path) -> bool {
        self.temp_dirs.as_ref().is_some_and(|dirs| dirs.recycle_if_empty(directory))
    }

    /// Removes the run's temporary directory, unless that of a session is left in it: those of failed sessions stay.
    pub(crate) fn clean_up(&self) {
        if let Some(dirs) = &self.temp_dirs {
            dirs.remove_if_unused();
        }
    }
}

impl Default for SessionResources {
    /// Returns resources without temporary directories, jobserver and worker counts.
    fn default() -> Self {
        Self { temp_dirs: None, jobserver: None, worker_variables: Vec::new() }
    }
}
