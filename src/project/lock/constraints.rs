//! The versions of a lock as constraints, for installs that ignore the lock: uv's own export, kept while it is true.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::fs::write_atomic;

/// How many files of older locks are left: two a lock.
const MAX_KEPT_FILES: usize = 10;

/// Why there are no constraints.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConstraintsError {
    /// No uv can export the lock.
    #[error("--locked needs uv to export uv.lock, and there is no uv beside nox or on PATH")]
    UvNotFound,
    /// There is no lock.
    #[error("there is no uv.lock in {} to hold installs to", .0.display())]
    NoLock(PathBuf),
    /// uv refuses to export it.
    #[error("uv cannot export uv.lock: {0}")]
    Export(String),
    /// A file or a program refused.
    #[error("{action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// What the system said.
        source: io::Error,
    },
}

/// The versions of a lock as files that installs can be constrained by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConstraintFiles {
    /// For uv: with the lock's digests. uv then takes no other file, and notes the digest beside what it keeps in its
    /// cache; before 0.11.19 it notes none of what it need not verify, and what has none cannot be told by the lock.
    pub(crate) hashed: PathBuf,
    /// For pip: versions alone, since with one digest it wants one of everything.
    pub(crate) plain: PathBuf,
}

/// The files, below `folder`, with the versions that `root`'s uv.lock holds, exported by the `uv` at that path.
///
/// They are named for what they were made from, so that the next run finds them.
///
/// # Errors
/// When there is no lock, uv refuses to export it, or a file cannot be written.
pub(crate) fn export_constraints(root: &Path, uv: &Path, folder: &Path) -> Result<ConstraintFiles, ConstraintsError> {
    let system = |what: String| move |source| ConstraintsError::Io { action: what, source };
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
    let name = hasher.finalize().to_hex()[..16].to_owned();
    let made = ConstraintFiles {
        hashed: folder.join(format!("{name}-hashed.txt")),
        plain: folder.join(format!("{name}.txt")),
    };
    if made.hashed.is_file() && made.plain.is_file() {
        return Ok(made);
    }
    let mut export = Command::new(uv);
    export.args(["export", "--quiet", "--frozen", "--all-extras", "--no-emit-project", "--no-header", "--no-annotate"]);
    export.arg("--offline").current_dir(root).stdin(Stdio::null());
    let done = export.output().map_err(system(format!("cannot start {}", uv.display())))?;
    if !done.status.success() {
        return Err(ConstraintsError::Export(String::from_utf8_lossy(&done.stderr).trim().to_owned()));
    }
    // A digest a line; here all that is said of a package stands in one.
    let text = String::from_utf8_lossy(&done.stdout).replace("\\\n", " ");
    let lines: Vec<&str> = text.lines().filter(|line| is_constraint_line(line)).collect();
    let file = |line: &dyn Fn(&str) -> String| lines.iter().map(|each| line(each) + "\n").collect::<String>();
    let hashed = file(&|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let plain = file(&|line| line.split(" --hash=").next().unwrap_or(line).trim_end().to_owned());
    fs_err::create_dir_all(&folder).map_err(system("cannot keep the lock's versions".to_owned()))?;
    prune_old_files(&folder);
    for (path, text) in [(&made.plain, plain), (&made.hashed, hashed)] {
        write_atomic(path, text.as_bytes()).map_err(system("cannot keep the lock's versions".to_owned()))?;
    }
    Ok(made)
}

/// Whether a line may stand in a constraints file: a local project may not, and nobody could constrain it.
fn is_constraint_line(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with(['#', '-', '.', '/'])
}

/// Leaves the newest files of a folder.
fn prune_old_files(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut known: Vec<_> =
        entries.flatten().filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    known.sort();
    for (_, path) in known.iter().rev().skip(MAX_KEPT_FILES) {
        // Another run may have been quicker.
        let _ = std::fs::remove_file(path);
    }
}
