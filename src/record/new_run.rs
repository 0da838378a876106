//! New runs: the store that records them and their directory.

use std::io;

use super::recorder::RunRecorder;
use super::run_id::new_run_id;
use super::run_store::RunStore;
use crate::fs::private_temp_dir;
use crate::project::{NoxfileManifest, run_data_dir};

impl RunStore {
    /// Opens the store of a project, else one below the temporary directory; in that case also returns a notice.
    ///
    /// # Errors
    /// When neither can be written to.
    pub(crate) fn open_or_temporary(manifest: &NoxfileManifest) -> io::Result<(Self, Option<String>)> {
        let error = match Self::open(manifest.run_data_dir()) {
            Ok(store) => return Ok((store, None)),
            Err(error) => error,
        };
        let store = Self::open(run_data_dir(&private_temp_dir()?, &manifest.root))?;
        let notice = format!("{error}; records are written to {}", store.path().display());
        Ok((store, Some(notice)))
    }

    /// Creates the directory and the recorder of a new run.
    ///
    /// # Errors
    /// When the directory cannot be created.
    pub(crate) fn create_run(&self) -> io::Result<(String, RunRecorder)> {
        loop {
            let run_id = new_run_id();
            match RunRecorder::create(self.run_dir(&run_id)) {
                Ok(recorder) => return Ok((run_id, recorder)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}
