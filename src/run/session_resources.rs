//! What a run lends its sessions: their share of the CPUs, a folder for temporary files, a jobserver.

use std::env::var_os;
use std::path::{Path, PathBuf};

use super::jobserver::{MakeJobserver, make_supports_fifo};
use super::plan::PlannedSession;
use crate::record::RunTempDir;

/// Variables that tell tools how many workers to start.
const WORKER_COUNT_VARIABLES: [&str; 3] = ["PYTEST_XDIST_AUTO_NUM_WORKERS", "TEST_PROCESSES", "PABOT_PROCESSES"];

/// What a run lends its sessions.
#[derive(Debug)]
pub struct SessionResources {
    temp_dirs: Option<RunTempDir>,
    jobserver: Option<MakeJobserver>,
    /// Those of [`WORKER_COUNT_VARIABLES`] that the user's own environment says nothing of.
    worker_variables: Vec<&'static str>,
}

impl SessionResources {
    /// Makes ready what sessions are lent; what cannot be had is told in sentences and goes without.
    pub fn new(run: &Path, slots: usize) -> (Self, Vec<String>) {
        let mut notices = Vec::new();
        let scratch = RunTempDir::create(run)
            .map_err(|error| notices.push(format!("sessions share one folder for temporary files: {error}")))
            .ok();
        let wanted = var_os("MAKEFLAGS").is_none() && make_supports_fifo(var_os("PATH").as_deref());
        // Without it makes, cargos and ninjas count CPUs for themselves, as under nox.
        let jobserver = scratch.as_ref().filter(|_| wanted).and_then(|s| MakeJobserver::create(s.path(), slots).ok());
        let workers = WORKER_COUNT_VARIABLES.into_iter().filter(|name| var_os(name).is_none()).collect();
        (Self { temp_dirs: scratch, jobserver, worker_variables: workers }, notices)
    }

    /// Variables for one session that is about to start; what settings say of it comes after these and wins.
    pub(super) fn session_env(&self, place: usize, session: &PlannedSession, slots: &[usize]) -> Vec<(String, String)> {
        let slot = slots.first().copied().unwrap_or(0);
        let mut variables = vec![
            ("NOXIDE_SLOT".to_owned(), slot.to_string()),
            ("NOXIDE_SESSION".to_owned(), session.facts.name.as_str().to_owned()),
        ];
        variables
            .extend(self.worker_variables.iter().map(|name| ((*name).to_owned(), session.worker_share.to_string())));
        let own = |name: &str| session.env.iter().any(|(known, _)| known == name);
        if let Some(folder) = self.temp_dirs.as_ref().filter(|_| !own("TMPDIR")).and_then(|s| s.session_dir(place).ok())
        {
            variables.push(("TMPDIR".to_owned(), folder.display().to_string()));
        }
        variables.extend(self.jobserver.as_ref().map(|jobserver| ("MAKEFLAGS".to_owned(), jobserver.makeflags())));
        variables
    }

    /// Nothing runs now: what died with its holders is put back.
    pub(super) fn refill_jobserver(&self) {
        if let Some(jobserver) = &self.jobserver {
            jobserver.refill_tokens();
        }
    }

    /// A session's folder for temporary files, where it has one.
    pub(super) fn temp_dir_path(&self, place: usize) -> Option<PathBuf> {
        let folder = self.temp_dirs.as_ref()?.path().join(place.to_string());
        folder.is_dir().then_some(folder)
    }

    /// Takes back a folder for temporary files; false where it holds something.
    pub(super) fn reclaim_temp_dir(&self, folder: &Path) -> bool {
        self.temp_dirs.as_ref().is_some_and(|scratch| scratch.recycle_if_empty(folder))
    }

    /// The run is over and its processes are gone: what no failed session needs for looking into is removed.
    pub(crate) fn clean_up(&self) {
        if let Some(scratch) = &self.temp_dirs {
            scratch.remove_if_unused();
        }
    }
}

impl Default for SessionResources {
    /// Lends nothing but the numbers of slots.
    fn default() -> Self {
        Self { temp_dirs: None, jobserver: None, worker_variables: Vec::new() }
    }
}
