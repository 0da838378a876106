//! Clean copy of a project with its own home and caches, like the checkout of a new CI runner.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::fs::remove_dir_tree;
use crate::record::find_run_data_dir;

/// A clean copy of the project in the current directory.
#[derive(Debug)]
pub(super) struct CheckoutCopy {
    root: PathBuf,
}

impl CheckoutCopy {
    /// Returns a copy to be created at `root`.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Returns the project's directory in the copy.
    pub(super) fn project_dir(&self) -> PathBuf {
        self.root.join("tree")
    }

    /// Returns the directory with the run data of the copy.
    pub(super) fn run_data_dir(&self) -> PathBuf {
        find_run_data_dir(&self.project_dir(), Some(&self.user_cache_dir()))
    }

    fn user_cache_dir(&self) -> PathBuf {
        self.root.join("home/.cache/noxide")
    }

    /// Recreates the copy: tracked files as they are now, or without Git all files outside the directories of tools.
    pub(super) fn recreate(&self) -> io::Result<()> {
        match remove_dir_tree(&self.root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for dir in ["tree", "home", "tmp"] {
            fs_err::create_dir_all(self.root.join(dir))?;
        }
        let tree = self.project_dir();
        match git_output(&["ls-files", "-z", "--cached"]) {
            Some(list) => {
                // A session may derive the version from Git: a clone has history and index, but no files.
                if Path::new(".git").exists() {
                    clone_repository(&tree)?;
                }
                for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
                    let name: &Path = Path::new(os_str_from_bytes(name));
                    copy_entry(name, &tree.join(name))?;
                }
                Ok(())
            }
            None => copy_dir(Path::new("."), &tree),
        }
    }

    /// Returns the variables that set the copy's own home and caches.
    pub(super) fn env_variables(&self) -> Vec<(&'static str, OsString)> {
        let home = self.root.join("home");
        let mut variables: Vec<(&'static str, OsString)> = vec![
            ("UV_CACHE_DIR", self.root.join("uv-cache").into()),
            ("PIP_CACHE_DIR", home.join(".cache/pip").into()),
            ("XDG_CACHE_HOME", home.join(".cache").into()),
            ("NOXIDE_CACHE_DIR", self.user_cache_dir().into()),
            ("TMPDIR", self.root.join("tmp").into()),
        ];
        // Settings of package indexes and interpreters are still used: they are not caches.
        if let Some(home_dir) = std::env::var_os("HOME").map(PathBuf::from) {
            for (name, candidates) in [
                ("PYENV_ROOT", [".pyenv"].as_slice()),
                ("UV_CONFIG_FILE", &[".config/uv/uv.toml"]),
                ("PIP_CONFIG_FILE", &[".config/pip/pip.conf", ".pip/pip.conf"]),
            ] {
                let found = candidates.iter().map(|path| home_dir.join(path)).find(|path| path.exists());
                variables.extend(found.filter(|_| std::env::var_os(name).is_none()).map(|path| (name, path.into())));
            }
        }
        variables.push(("HOME", home.into()));
        variables
    }
}

fn os_str_from_bytes(bytes: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

fn git_output(arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("git").args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    // A directory below a repository that tracks none of its files does not belong to that repository.
    (output.status.success() && !output.stdout.is_empty()).then_some(output.stdout)
}

fn clone_repository(tree: &Path) -> io::Result<()> {
    let output = Command::new("git")
        .args(["clone", "--quiet", "--shared", "--no-checkout", "."])
        .arg(tree)
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("git clone: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    // Fails before the first commit, when there is nothing to reset to.
    let _ = Command::new("git").arg("-C").arg(tree).args(["reset", "--quiet"]).stdin(Stdio::null()).output()?;
    Ok(())
}

/// Copies a file or a link; skips a file that is listed but deleted, and the directory of a submodule.
fn copy_entry(from: &Path, to: &Path) -> io::Result<()> {
    let Ok(metadata) = fs_err::symlink_metadata(from) else { return Ok(()) };
    if let Some(parent) = to.parent() {
        fs_err::create_dir_all(parent)?;
    }
    if metadata.is_symlink() {
        std::os::unix::fs::symlink(fs_err::read_link(from)?, to)
    } else if metadata.is_file() {
        fs_err::copy(from, to).map(|_| ())
    } else {
        Ok(())
    }
}

/// Directories of tools, which are not part of the project.
const SKIPPED_DIRS: [&str; 5] = [".nox", ".git", ".venv", "__pycache__", "target"];

fn copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    let is_copied = |entry: &walkdir::DirEntry| {
        entry.depth() == 0 || !SKIPPED_DIRS.iter().any(|skipped| entry.file_name() == *skipped)
    };
    for entry in walkdir::WalkDir::new(from).into_iter().filter_entry(is_copied) {
        let entry = entry?;
        let name = entry.path().strip_prefix(from).unwrap_or(entry.path());
        copy_entry(entry.path(), &to.join(name))?;
    }
    Ok(())
}
