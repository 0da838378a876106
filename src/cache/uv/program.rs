//! The uv executable: finding it, and querying its version and cache directory.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;

use crate::fs::FileStat;

/// Why uv cannot be used.
#[derive(Debug, Error)]
pub(crate) enum UvError {
    /// uv could not be started, or failed.
    #[error("{program} {arguments} failed: {reason}")]
    Failed {
        /// Path of uv.
        program: String,
        /// Command-line arguments.
        arguments: String,
        /// Error output of uv, or the system error.
        reason: String,
    },
}

/// A uv executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uv {
    path: PathBuf,
}

impl Uv {
    /// Returns the first uv in a value of `PATH`.
    pub(crate) fn find_in_path(path: Option<OsString>) -> Option<Self> {
        let search_path = path.unwrap_or_default();
        let is_executable = |path: &PathBuf| {
            std::fs::metadata(path)
                .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
        };
        let found = std::env::split_paths(&search_path).map(|directory| directory.join("uv")).find(is_executable);
        found.map(|path| Self { path })
    }

    /// Uses the executable at a path.
    pub fn from_path(path: PathBuf) -> Self {
        Self { path }
    }

    /// Returns the path of uv.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the cache directory for a project: `UV_CACHE_DIR`, uv's settings, or the default.
    ///
    /// # Errors
    /// If uv fails.
    pub(crate) fn cache_dir(
        &self,
        project: &Path,
        variables: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<PathBuf, UvError> {
        if let Some(directory) = variables("UV_CACHE_DIR").filter(|directory| !directory.is_empty()) {
            return Ok(project.join(directory));
        }
        let output = self.run(&["cache", "dir", "--no-progress", "--color", "never"], project)?;
        Ok(project.join(output.trim_end()))
    }

    /// Returns the output of `uv --version`: `uv 0.13.9 (…)`.
    ///
    /// # Errors
    /// If uv fails.
    pub(crate) fn version(&self) -> Result<String, UvError> {
        Ok(self.run(&["--version"], Path::new("/"))?.trim().to_owned())
    }

    /// Identifies the executable without running it, by real path, size and modification time.
    ///
    /// # Errors
    /// If it does not exist.
    pub(crate) fn binary_identity(&self) -> io::Result<String> {
        let path = std::fs::canonicalize(&self.path)?;
        let stat = FileStat::from_path(&path)?;
        Ok(format!("{} {} {}", path.display(), stat.size, stat.mtime_ns))
    }

    /// Runs uv in a directory and returns its output.
    ///
    /// # Errors
    /// If uv cannot be started or fails.
    pub(crate) fn run(&self, arguments: &[&str], directory: &Path) -> Result<String, UvError> {
        let failed = |reason: String| UvError::Failed {
            program: self.path.display().to_string(),
            arguments: arguments.join(" "),
            reason,
        };
        let mut command = Command::new(&self.path);
        command.args(arguments).current_dir(directory).stdin(Stdio::null());
        let output = command.output().map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(failed(if stderr.is_empty() { output.status.to_string() } else { stderr }));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
