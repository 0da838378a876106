//! New runs: the store that records them, their identifier and their directory.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;

use super::recorder::RunRecorder;
use super::run_store::RunStore;
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
        let temporary = std::env::temp_dir().join(format!("noxide-{}", rustix::process::getuid().as_raw()));
        let store = Self::open(run_data_dir(&temporary, &manifest.root))?;
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

/// Returns an identifier for a new run: the time to the millisecond, so that identifiers sort, and random digits,
/// because the identifier marks the processes of the run and must be unique on the machine.
pub(crate) fn new_run_id() -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S.%3f");
    format!("{now}-{:06x}", random_u64() & 0xff_ffff)
}

/// Returns an unpredictable number: the standard library seeds its hashers from the system.
pub(crate) fn random_u64() -> u64 {
    RandomState::new().build_hasher().finish()
}
