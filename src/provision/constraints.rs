//! Constraints exported from uv.lock, for sessions whose installers do not read it.

use std::path::Path;

use super::uv::find_uv;
use crate::fs::private_temp_dir;
use crate::project::NoxfileManifest;
use crate::project::dependencies::{ConstraintFiles, ConstraintsError, export_constraints};

/// Exports the versions of uv.lock to files in `directory`; `None` if no session has an environment.
///
/// # Errors
/// When there is no lock file, or it cannot be exported.
pub(crate) fn export_lock_file_constraints(
    manifest: &NoxfileManifest,
    directory: &Path,
) -> Result<Option<ConstraintFiles>, ConstraintsError> {
    if manifest.sessions.iter().all(|session| session.backend == "none") {
        return Ok(None);
    }
    let uv = find_uv(manifest).ok_or(ConstraintsError::UvNotFound)?;
    // UV_CONSTRAINT and PIP_CONSTRAINT separate files by spaces, so a path with one cannot be listed there.
    let has_space = directory.to_string_lossy().contains(char::is_whitespace);
    let directory = if has_space {
        let io_error = |source| ConstraintsError::Io { action: "cannot export uv.lock".to_owned(), source };
        &private_temp_dir().map_err(io_error)?
    } else {
        directory
    };
    export_constraints(&manifest.root, &uv, directory, !has_space).map(Some)
}
