//! The versions of a lock as constraints, for installs that ignore the lock: uv's own export, kept while it is true.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::fs::write_atomic;

/// How many exports of older locks are left.
const KEPT: usize = 5;

/// Why there are no constraints.
#[derive(Debug, thiserror::Error)]
pub enum ConstraintsError {
    /// There is no lock.
    #[error("there is no uv.lock in {} to hold installs to", .0.display())]
    NoLock(PathBuf),
    /// uv refuses to export it.
    #[error("uv cannot export uv.lock: {0}")]
    Export(String),
    /// A file or a program refused.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

/// The file, below `folder`, with the versions that `root`'s uv.lock holds, exported by the `uv` at that path.
///
/// It is named for what it was made from, so that the next run finds it.
///
/// # Errors
/// When there is no lock, uv refuses to export it, or the file cannot be written.
pub fn constraints(root: &Path, uv: &Path, folder: &Path) -> Result<PathBuf, ConstraintsError> {
    let system = |what: String| move |source| ConstraintsError::System { what, source };
    let lock = root.join("uv.lock");
    if !lock.is_file() {
        return Err(ConstraintsError::NoLock(root.to_path_buf()));
    }
    let mut hasher = blake3::Hasher::new();
    for path in [lock, root.join("pyproject.toml")] {
        let bytes = std::fs::read(&path).map_err(system(format!("cannot read {}", path.display())))?;
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(&bytes);
    }
    let folder = folder.join("constraints");
    let path = folder.join(format!("{}.txt", &hasher.finalize().to_hex()[..16]));
    if path.is_file() {
        return Ok(path);
    }
    let mut export = Command::new(uv);
    export.args(["export", "--quiet", "--frozen", "--all-extras", "--no-emit-project", "--no-hashes", "--no-header"]);
    export.args(["--no-annotate", "--offline"]).current_dir(root).stdin(Stdio::null());
    let done = export.output().map_err(system(format!("cannot start {}", uv.display())))?;
    if !done.status.success() {
        return Err(ConstraintsError::Export(String::from_utf8_lossy(&done.stderr).trim().to_owned()));
    }
    let text = String::from_utf8_lossy(&done.stdout);
    let plain: String = text.lines().filter(|line| is_constraint(line)).map(|line| format!("{line}\n")).collect();
    fs_err::create_dir_all(&folder).map_err(system("cannot keep the lock's versions".to_owned()))?;
    drop_old(&folder);
    write_atomic(&path, plain.as_bytes()).map_err(system("cannot keep the lock's versions".to_owned()))?;
    Ok(path)
}

/// Whether a line may stand in a constraints file: a local project may not, and nobody could constrain it.
fn is_constraint(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with(['#', '-', '.', '/'])
}

/// Leaves the newest files of a folder.
fn drop_old(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut known: Vec<_> =
        entries.flatten().filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    known.sort();
    for (_, path) in known.iter().rev().skip(KEPT) {
        // Another run may have been quicker.
        let _ = std::fs::remove_file(path);
    }
}
