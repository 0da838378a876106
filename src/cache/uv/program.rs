//! The uv program: found, asked for its version and its cache.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;

use crate::fs::FileStat;

/// Why there is no uv to work with.
#[derive(Debug, Error)]
pub(crate) enum UvError {
    /// None is on the path.
    #[error("no uv on PATH")]
    NotFound,
    /// It could not be run, or did not do what it was asked.
    #[error("{program} {arguments} failed: {reason}")]
    Failed {
        /// The program.
        program: String,
        /// What it was asked.
        arguments: String,
        /// What it or the system said.
        reason: String,
    },
}

/// A uv.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uv {
    path: PathBuf,
}

impl Uv {
    /// The first on a path such as `PATH`.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn find_in_path(path: Option<OsString>) -> Result<Self, UvError> {
        let folders = path.unwrap_or_default();
        let runs = |path: &PathBuf| {
            std::fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
        };
        let found = std::env::split_paths(&folders).map(|folder| folder.join("uv")).find(runs);
        found.map(|path| Self { path }).ok_or(UvError::NotFound)
    }

    /// The one at a path.
    pub fn from_path(path: PathBuf) -> Self {
        Self { path }
    }

    /// The program.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where it keeps its cache for a project there: `UV_CACHE_DIR`, its settings, or its default.
    ///
    /// # Errors
    /// When it cannot say.
    pub(crate) fn cache_dir(
        &self,
        project: &Path,
        variables: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<PathBuf, UvError> {
        if let Some(told) = variables("UV_CACHE_DIR").filter(|told| !told.is_empty()) {
            return Ok(project.join(told));
        }
        let said = self.run(&["cache", "dir", "--no-progress", "--color", "never"], project)?;
        Ok(project.join(said.trim_end()))
    }

    /// Its version as it says it: `uv 0.13.9 (…)`.
    ///
    /// # Errors
    /// When it cannot say.
    pub(crate) fn version(&self) -> Result<String, UvError> {
        Ok(self.run(&["--version"], Path::new("/"))?.trim().to_owned())
    }

    /// What tells this uv from another without running it: where it really is, its size and its time.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) fn binary_identity(&self) -> io::Result<String> {
        let path = std::fs::canonicalize(&self.path)?;
        let stamp = FileStat::from_path(&path)?;
        Ok(format!("{} {} {}", path.display(), stamp.size, stamp.mtime_ns))
    }

    /// Runs it in a folder and gives what it printed.
    ///
    /// # Errors
    /// When it cannot be started or fails.
    pub(crate) fn run(&self, arguments: &[&str], folder: &Path) -> Result<String, UvError> {
        let failed = |why: String| UvError::Failed {
            program: self.path.display().to_string(),
            arguments: arguments.join(" "),
            reason: why,
        };
        let mut command = Command::new(&self.path);
        command.args(arguments).current_dir(folder).stdin(Stdio::null());
        let done = command.output().map_err(|error| failed(error.to_string()))?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            return Err(failed(if said.is_empty() { done.status.to_string() } else { said }));
        }
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }
}
