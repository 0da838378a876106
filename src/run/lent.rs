//! What a run lends its sessions: their share of the CPUs, a folder for temporary files, a jobserver.

use std::env::var_os;
use std::path::{Path, PathBuf};

use super::jobserver::{Jobserver, make_takes_fifos};
use super::plan::PlannedSession;
use crate::record::Scratch;

/// Variables that tell tools how many workers to start.
const WORKERS: [&str; 3] = ["PYTEST_XDIST_AUTO_NUM_WORKERS", "TEST_PROCESSES", "PABOT_PROCESSES"];

/// What a run lends its sessions.
#[derive(Debug)]
pub struct Lent {
    scratch: Option<Scratch>,
    jobserver: Option<Jobserver>,
    /// Those of [`WORKERS`] that the user's own environment says nothing of.
    workers: Vec<&'static str>,
}

impl Lent {
    /// Makes ready what sessions are lent; what cannot be had is told in sentences and goes without.
    pub fn new(run: &Path, slots: usize) -> (Self, Vec<String>) {
        let mut notices = Vec::new();
        let scratch = Scratch::make(run)
            .map_err(|error| notices.push(format!("sessions share one folder for temporary files: {error}")))
            .ok();
        let wanted = var_os("MAKEFLAGS").is_none() && make_takes_fifos(var_os("PATH").as_deref());
        // Without it makes, cargos and ninjas count CPUs for themselves, as under nox.
        let jobserver = scratch.as_ref().filter(|_| wanted).and_then(|s| Jobserver::create(s.path(), slots).ok());
        let workers = WORKERS.into_iter().filter(|name| var_os(name).is_none()).collect();
        (Self { scratch, jobserver, workers }, notices)
    }

    /// Variables for one session that is about to start; what settings say of it comes after these and wins.
    pub(super) fn variables(&self, place: usize, session: &PlannedSession, slots: &[usize]) -> Vec<(String, String)> {
        let slot = slots.first().copied().unwrap_or(0);
        let mut variables = vec![
            ("NOXIDE_SLOT".to_owned(), slot.to_string()),
            ("NOXIDE_SESSION".to_owned(), session.facts.name.as_str().to_owned()),
        ];
        variables.extend(self.workers.iter().map(|name| ((*name).to_owned(), session.share.to_string())));
        let own = |name: &str| session.env.iter().any(|(known, _)| known == name);
        if let Some(folder) = self.scratch.as_ref().filter(|_| !own("TMPDIR")).and_then(|s| s.session(place).ok()) {
            variables.push(("TMPDIR".to_owned(), folder.display().to_string()));
        }
        variables.extend(self.jobserver.as_ref().map(|jobserver| ("MAKEFLAGS".to_owned(), jobserver.flags())));
        variables
    }

    /// Nothing runs now: what died with its holders is put back.
    pub(super) fn rest(&self) {
        if let Some(jobserver) = &self.jobserver {
            jobserver.refill();
        }
    }

    /// A session's folder for temporary files, where it has one.
    pub(super) fn folder(&self, place: usize) -> Option<PathBuf> {
        let folder = self.scratch.as_ref()?.path().join(place.to_string());
        folder.is_dir().then_some(folder)
    }

    /// Takes back a folder for temporary files; false where it holds something.
    pub(super) fn take_back(&self, folder: &Path) -> bool {
        self.scratch.as_ref().is_some_and(|scratch| scratch.take_back(folder))
    }

    /// The run is over and its processes are gone: what no failed session needs for looking into is removed.
    pub fn close(&self) {
        if let Some(scratch) = &self.scratch {
            scratch.close();
        }
    }
}

impl Default for Lent {
    /// Lends nothing but the numbers of slots.
    fn default() -> Self {
        Self { scratch: None, jobserver: None, workers: Vec::new() }
    }
}
