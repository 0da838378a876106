//! An environment of noxide's own with nox and uv, for machines that have none.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;

use super::path_search::find_on_path;

/// What is installed. A change here makes a new environment, since the folder's name holds the versions.
const NOX_VERSION: &str = "2026.10.20";
const UV_VERSION: &str = "0.13.9";

/// Why the environment could not be made.
#[derive(Debug, Error)]
pub enum NoxInstallError {
    /// There is no Python to make it with.
    #[error("there is no python3 on PATH")]
    NoPython,
    /// A step failed.
    #[error("{step} failed{}", last_line_suffix(output))]
    Step {
        /// The command, shortened.
        step: String,
        /// What it printed.
        output: String,
    },
    /// The folder could not be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

fn last_line_suffix(output: &str) -> String {
    output.lines().rfind(|line| !line.trim().is_empty()).map(|line| format!(": {}", line.trim())).unwrap_or_default()
}

/// The environment's interpreter, and whether it was made just now.
///
/// It is built beside its place and renamed, so nobody ever sees half of it; two that build at once do not harm
/// each other: the second finds the place taken and uses it.
pub(super) fn ensure_environment(cache: &Path, path: &OsString) -> Result<(PathBuf, bool), NoxInstallError> {
    let home = cache.join(format!("nox-{NOX_VERSION}-uv-{UV_VERSION}"));
    let python = home.join("bin/python");
    if python.is_file() {
        return Ok((python, false));
    }
    let base =
        find_on_path(path, "python3").or_else(|| find_on_path(path, "python")).ok_or(NoxInstallError::NoPython)?;
    fs_err::create_dir_all(cache)?;
    let building = tempfile::Builder::new().prefix("nox-building-").tempdir_in(cache)?;
    run_step(Command::new(&base).args(["-m", "venv", "--clear"]).arg(building.path()), "python3 -m venv")?;
    run_step(
        Command::new(building.path().join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args([format!("nox=={NOX_VERSION}"), format!("uv=={UV_VERSION}")]),
        "pip install of nox and uv",
    )?;
    rewrite_script_paths(building.path(), &home)?;
    let moved = fs_err::rename(building.path(), &home);
    if python.is_file() {
        if moved.is_ok() {
            drop(building.keep());
        }
        return Ok((python, true));
    }
    Err(moved.err().unwrap_or_else(|| std::io::ErrorKind::NotFound.into()).into())
}

fn run_step(command: &mut Command, step: &str) -> Result<(), NoxInstallError> {
    let done = command.stdin(Stdio::null()).output()?;
    if done.status.success() {
        return Ok(());
    }
    let output = [done.stdout, done.stderr].concat();
    Err(NoxInstallError::Step { step: step.to_owned(), output: String::from_utf8_lossy(&output).into_owned() })
}

/// Lets the environment's scripts name the place it is going to have.
fn rewrite_script_paths(building: &Path, home: &Path) -> Result<(), NoxInstallError> {
    let (old, new) = (building.to_string_lossy().into_owned(), home.to_string_lossy().into_owned());
    for entry in fs_err::read_dir(building.join("bin"))? {
        let path = entry?.path();
        if path.is_symlink() {
            continue;
        }
        let Ok(text) = fs_err::read_to_string(&path) else {
            continue; // a program, such as uv
        };
        if text.contains(&old) {
            let mut file = fs_err::OpenOptions::new().write(true).truncate(true).open(&path)?;
            std::io::Write::write_all(&mut file, text.replace(&old, &new).as_bytes())?;
        }
    }
    Ok(())
}
