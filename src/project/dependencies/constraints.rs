//! Constraints files exported from uv.lock, for installers that do not read it; reused until uv.lock changes.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::fs::write_atomic;

/// Maximum number of cached constraints files; each lock file has two.
const MAX_CACHED_FILES: usize = 10;

/// Reasons why constraints could not be exported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConstraintsError {
    /// No uv can export the lock file.
    #[error("--locked needs uv to export uv.lock, but uv was not found, neither next to nox nor on PATH")]
    UvNotFound,
    /// There is no lock file.
    #[error("there is no uv.lock in {} to constrain installs to", .0.display())]
    NoLockFile(PathBuf),
    /// uv could not export it.
    #[error("uv cannot export uv.lock: {0}")]
    Export(String),
    /// A file or a program failed.
    #[error("{action}: {source}")]
    Io {
        /// What failed.
        action: String,
        /// The error of the system.
        source: io::Error,
    },
}

/// Constraints files with the versions of a lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConstraintFiles {
    /// For uv: with hashes. uv then installs no other file, and records the hash in its cache. Before 0.11.19, uv
    /// records no hash of a file that it need not verify, and such a cache entry cannot be matched to the lock file.
    pub(crate) hashed: PathBuf,
    /// For pip: versions only, because if any hash is listed, pip requires hashes of all packages.
    pub(crate) plain: PathBuf,
}

/// Exports the versions of the uv.lock in `root` by running `uv`, to constraints files below `directory`.
///
/// The file names contain the digest of their sources. With a `suffix`, which is part of the names, files of an
/// earlier run are not used.
///
/// # Errors
/// When there is no lock file, uv cannot export it, or a file cannot be written.
pub(crate) fn export_constraints(
    root: &Path,
    uv: &Path,
    directory: &Path,
    suffix: Option<u64>,
) -> Result<ConstraintFiles, ConstraintsError> {
    let io_error = |action: String| move |source| ConstraintsError::Io { action, source };
    let lock_file = root.join("uv.lock");
    if !lock_file.is_file() {
        return Err(ConstraintsError::NoLockFile(root.to_path_buf()));
    }
    let mut hasher = blake3::Hasher::new();
    for path in [lock_file, root.join("pyproject.toml")] {
        let bytes = std::fs::read(&path).map_err(io_error(format!("cannot read {}", path.display())))?;
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(&bytes);
    }
    let directory = directory.join("constraints");
    let mut name = hasher.finalize().to_hex()[..16].to_owned();
    if let Some(suffix) = suffix {
        name.push_str(&format!("-{suffix:016x}"));
    }
    let files = ConstraintFiles {
        hashed: directory.join(format!("{name}-hashed.txt")),
        plain: directory.join(format!("{name}.txt")),
    };
    if suffix.is_none() && files.hashed.is_file() && files.plain.is_file() {
        return Ok(files);
    }
    let mut export = Command::new(uv);
    export.args(["export", "--quiet", "--frozen", "--all-extras", "--no-emit-project", "--no-header", "--no-annotate"]);
    export.arg("--offline").current_dir(root).stdin(Stdio::null());
    let output = export.output().map_err(io_error(format!("cannot start {}", uv.display())))?;
    if !output.status.success() {
        return Err(ConstraintsError::Export(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    // uv writes one hash per line; join all lines of a package.
    let text = String::from_utf8_lossy(&output.stdout).replace("\\\n", " ");
    let lines: Vec<&str> = text.lines().filter(|line| is_constraint_line(line)).collect();
    let file = |line: &dyn Fn(&str) -> String| lines.iter().map(|each| line(each) + "\n").collect::<String>();
    let hashed = file(&|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let plain = file(&|line| line.split(" --hash=").next().unwrap_or(line).trim_end().to_owned());
    fs_err::create_dir_all(&directory).map_err(io_error("cannot write constraints files".to_owned()))?;
    prune_old_files(&directory);
    for (path, text) in [(&files.plain, plain), (&files.hashed, hashed)] {
        write_atomic(path, text.as_bytes()).map_err(io_error("cannot write constraints files".to_owned()))?;
    }
    Ok(files)
}

/// Whether a line is valid in a constraints file; local projects and options are not.
fn is_constraint_line(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with(['#', '-', '.', '/'])
}

/// Removes all but the newest files of a directory.
fn prune_old_files(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    let mut files: Vec<_> =
        entries.flatten().filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    files.sort();
    for (_, path) in files.iter().rev().skip(MAX_CACHED_FILES) {
        // Another run may have removed it already.
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_that_another_job_can_have_written_are_not_reused() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for name in ["uv.lock", "pyproject.toml"] {
            fs_err::write(root.join(name), "").unwrap();
        }
        let uv = root.join("uv");
        fs_err::write(&uv, "#!/bin/sh\necho 'six==1.17.0'\n").unwrap();
        fs_err::set_permissions(&uv, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let export = |suffix| export_constraints(root, &uv, root, suffix).unwrap();
        let files = export(None);
        fs_err::write(&files.plain, "six==1.15.0\n").unwrap();
        assert_eq!(fs_err::read_to_string(export(None).plain).unwrap(), "six==1.15.0\n");
        assert_eq!(fs_err::read_to_string(export(Some(7)).plain).unwrap(), "six==1.17.0\n");
    }
}
