//! What a run does about dependencies before its sessions start: versions of the lock for those that ignore it.

use std::path::{Path, PathBuf};

use super::error::CliError;
use super::loaded_project::LoadedProject;
use crate::project::NoxfileManifest;
use crate::project::lock::export_constraints;

/// Holds the run's installs to the lock, where that is wanted; `folder` keeps what is made for it.
///
/// # Errors
/// When there is no lock, or no uv that could read it.
pub(super) fn apply_lock_constraints(opened: &mut LoadedProject, folder: &Path) -> Result<(), CliError> {
    if opened.options.cache.apply_lock && has_environments(opened) {
        let uv = find_uv(&opened.manifest).ok_or_else(|| {
            CliError::UvNotFound("--locked has uv export the lock, and there is no uv beside nox or on PATH".to_owned())
        })?;
        let root = opened.manifest.root.clone();
        // Lists of constraints are parted by blanks, so none may be in the path.
        let blank = folder.to_string_lossy().contains(char::is_whitespace);
        let elsewhere = std::env::temp_dir().join(format!("noxide-{}", rustix::process::getuid().as_raw()));
        let folder = if blank { &elsewhere } else { folder };
        opened.options.cache.constraints = Some(export_constraints(&root, &uv, folder)?);
    }
    Ok(())
}

/// Whether any session of the run has an environment to install into.
fn has_environments(opened: &LoadedProject) -> bool {
    opened.manifest.sessions.iter().any(|session| session.backend != "none")
}

/// The uv that sessions use: the one beside nox, as nox itself looks for it, else the first on PATH.
pub(super) fn find_uv(manifest: &NoxfileManifest) -> Option<PathBuf> {
    let beside = manifest.executable.parent().map(|folder| folder.join("uv"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside.into_iter().chain(std::env::split_paths(&path).map(|folder| folder.join("uv"))).find(|uv| uv.is_file())
}
