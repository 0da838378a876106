//! Private environment with nox and uv, created if nox is not found.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;

use super::executables::find_on_path;
use crate::fs::create_dirs;
use crate::project::{CREDENTIAL_VARIABLES, environment_variable};

/// Installed versions. They are in the directory's name, so a change here creates a new environment.
const NOX_VERSION: &str = "2026.10.20";
const UV_VERSION: &str = "0.13.9";

/// Variables of pip that name files, often relative to the project.
const PROJECT_FILE_VARIABLES: [&str; 4] = ["PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT", "PIP_REQUIREMENT", "PIP_EDITABLE"];

/// Reasons why the environment could not be created.
#[derive(Debug, Error)]
pub enum NoxInstallError {
    /// There is no Python to create it with.
    #[error("python3 was not found on PATH")]
    NoPython,
    /// A step failed.
    #[error("{step} failed{}", last_line_suffix(output))]
    Step {
        /// The command, shortened.
        step: String,
        /// Its output.
        output: String,
    },
    /// The directory could not be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

fn last_line_suffix(output: &str) -> String {
    output.lines().rfind(|line| !line.trim().is_empty()).map(|line| format!(": {}", line.trim())).unwrap_or_default()
}

/// Returns the directory of the environment's programs; it exists once the environment was created.
pub(super) fn programs_dir(cache: &Path) -> PathBuf {
    environment_dir(cache, signing_key().as_deref()).join("bin")
}

/// Returns the directory of the environment. A run with a signing key has its own, so that it uses no program that a run
/// without the key has installed.
fn environment_dir(cache: &Path, signing_key: Option<&str>) -> PathBuf {
    let signer = signing_key.map(|key| {
        let digest = blake3::derive_key("noxide private nox of a signing key", key.as_bytes());
        format!("-signed-{}", blake3::Hash::from_bytes(digest).to_hex().get(..16).unwrap_or_default())
    });
    cache.join(format!("nox-{NOX_VERSION}-uv-{UV_VERSION}{}", signer.unwrap_or_default()))
}

/// Returns the key with which the remote cache is signed.
fn signing_key() -> Option<String> {
    environment_variable("NOXIDE_CACHE_SIGNING_KEY").filter(|key| !key.is_empty())
}

/// Returns the environment's interpreter, and whether this call created the environment.
///
/// It is built in a temporary directory and renamed, so that no process uses an incomplete one. If two processes build
/// it at once, the second uses the environment of the first.
pub(super) fn ensure_environment(cache: &Path, path: &OsString) -> Result<(PathBuf, bool), NoxInstallError> {
    let key = signing_key();
    let home = environment_dir(cache, key.as_deref());
    let python = home.join("bin/python");
    if python.is_file() {
        return Ok((python, false));
    }
    let base =
        find_on_path(path, "python3").or_else(|| find_on_path(path, "python")).ok_or(NoxInstallError::NoPython)?;
    create_dirs(cache)?;
    // Absolute: the steps run in another directory.
    let (base, cache) = (std::path::absolute(base)?, std::path::absolute(cache)?);
    let temp_dir = tempfile::Builder::new().prefix("nox-building-").tempdir_in(&cache)?;
    run_step(
        Command::new(&base).args(["-I", "-m", "venv", "--clear"]).arg(temp_dir.path()),
        &cache,
        "python3 -m venv",
    )?;
    run_step(
        Command::new(temp_dir.path().join("bin/python"))
            .args(["-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            // Other runs can have written pip's cache.
            .args(key.map(|_| "--no-cache-dir"))
            .args([format!("nox=={NOX_VERSION}"), format!("uv=={UV_VERSION}")]),
        &cache,
        "pip install of nox and uv",
    )?;
    rewrite_script_paths(temp_dir.path(), &std::path::absolute(&home)?)?;
    let moved = fs_err::rename(temp_dir.path(), &home);
    if python.is_file() {
        let is_new = moved.is_ok();
        if is_new {
            drop(temp_dir.keep());
        }
        return Ok((python, is_new));
    }
    Err(moved.err().unwrap_or_else(|| std::io::ErrorKind::NotFound.into()).into())
}

/// Runs a step in `directory`, not in the project: the environment is kept for other projects, so no file of this one may
/// be imported or decide what is installed.
fn run_step(command: &mut Command, directory: &Path, step: &str) -> Result<(), NoxInstallError> {
    for name in CREDENTIAL_VARIABLES.iter().chain(&PROJECT_FILE_VARIABLES) {
        command.env_remove(name);
    }
    let output = command.current_dir(directory).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let output = [output.stdout, output.stderr].concat();
    Err(NoxInstallError::Step { step: step.to_owned(), output: String::from_utf8_lossy(&output).into_owned() })
}

/// Rewrites the paths in the environment's scripts to its final location.
fn rewrite_script_paths(building: &Path, home: &Path) -> Result<(), NoxInstallError> {
    let (old, new) = (building.to_string_lossy().into_owned(), home.to_string_lossy().into_owned());
    for entry in fs_err::read_dir(building.join("bin"))? {
        let path = entry?.path();
        if path.is_symlink() {
            continue;
        }
        let Ok(text) = fs_err::read_to_string(&path) else {
            continue; // a binary, such as uv
        };
        if text.contains(&old) {
            let mut file = fs_err::OpenOptions::new().write(true).truncate(true).open(&path)?;
            std::io::Write::write_all(&mut file, text.replace(&old, &new).as_bytes())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_project_are_not_run_to_install_nox() {
        let directory = tempfile::tempdir().unwrap();
        let (cache, bin) = (directory.path().join("cache"), directory.path().join("bin"));
        fs_err::create_dir(&bin).unwrap();
        // Reports where it runs and with which arguments, and fails.
        let python = bin.join("python3");
        fs_err::write(&python, "#!/bin/sh\necho \"$PWD $*\" >&2\nexit 1\n").unwrap();
        fs_err::set_permissions(&python, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let error = ensure_environment(&cache, &bin.into_os_string()).unwrap_err().to_string();
        let cache = cache.canonicalize().unwrap();
        assert!(error.contains(&format!("{} -I -m venv", cache.display())), "{error}");
    }

    #[test]
    fn each_signing_key_has_an_environment_of_its_own() {
        let directory = |key| environment_dir(Path::new("/cache"), key);
        let all = [directory(None), directory(Some("one")), directory(Some("two"))];
        assert!(all[0] != all[1] && all[1] != all[2] && all.iter().all(|path| path.starts_with("/cache")), "{all:?}");
        assert!(!all[1].to_string_lossy().contains("one"));
    }
}
