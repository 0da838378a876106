//! An environment of noxide's own with nox and uv, for machines that have none.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;

use super::path::on_path;

/// What is installed. A change here makes a new environment, since the folder's name holds the versions.
const NOX: &str = "2026.10.20";
const UV: &str = "0.13.9";

/// Why the environment could not be made.
#[derive(Debug, Error)]
pub enum PrivateError {
    /// There is no Python to make it with.
    #[error("there is no python3 on PATH")]
    NoPython,
    /// A step failed.
    #[error("{step} failed{}", last_line(output))]
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

fn last_line(output: &str) -> String {
    output.lines().rfind(|line| !line.trim().is_empty()).map(|line| format!(": {}", line.trim())).unwrap_or_default()
}

/// The environment's interpreter, and whether it was made just now.
///
/// It is built beside its place and renamed, so nobody ever sees half of it; two that build at once do not harm
/// each other: the second finds the place taken and uses it.
pub(super) fn environment(cache: &Path, path: &OsString) -> Result<(PathBuf, bool), PrivateError> {
    let home = cache.join(format!("nox-{NOX}-uv-{UV}"));
    let python = home.join("bin/python");
    if python.is_file() {
        return Ok((python, false));
    }
    let base = on_path(path, "python3").or_else(|| on_path(path, "python")).ok_or(PrivateError::NoPython)?;
    fs_err::create_dir_all(cache)?;
    let building = tempfile::Builder::new().prefix("nox-building-").tempdir_in(cache)?;
    run(Command::new(&base).args(["-m", "venv", "--clear"]).arg(building.path()), "python3 -m venv")?;
    run(
        Command::new(building.path().join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args([format!("nox=={NOX}"), format!("uv=={UV}")]),
        "pip install of nox and uv",
    )?;
    rename_in_scripts(building.path(), &home)?;
    let moved = fs_err::rename(building.path(), &home);
    if python.is_file() {
        if moved.is_ok() {
            drop(building.keep());
        }
        return Ok((python, true));
    }
    Err(moved.err().unwrap_or_else(|| std::io::ErrorKind::NotFound.into()).into())
}

fn run(command: &mut Command, step: &str) -> Result<(), PrivateError> {
    let done = command.stdin(Stdio::null()).output()?;
    if done.status.success() {
        return Ok(());
    }
    let output = [done.stdout, done.stderr].concat();
    Err(PrivateError::Step { step: step.to_owned(), output: String::from_utf8_lossy(&output).into_owned() })
}

/// Lets the environment's scripts name the place it is going to have.
fn rename_in_scripts(building: &Path, home: &Path) -> Result<(), PrivateError> {
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
