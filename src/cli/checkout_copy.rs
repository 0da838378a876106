//! A clean copy of a project with a home and caches of its own, as a new CI runner has it.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A clean copy of the project in the current folder.
#[derive(Debug)]
pub(super) struct CheckoutCopy {
    root: PathBuf,
}

impl CheckoutCopy {
    /// The copy that will be made at `place`.
    pub(super) fn new(place: PathBuf) -> Self {
        Self { root: place }
    }

    /// The project's folder in it.
    pub(super) fn project_dir(&self) -> PathBuf {
        self.root.join("tree")
    }

    /// Makes it anew: tracked files as they are now, nothing else; without Git all but what tools left.
    pub(super) fn recreate(&self) -> io::Result<()> {
        match fs_err::remove_dir_all(&self.root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for folder in ["tree", "home", "tmp"] {
            fs_err::create_dir_all(self.root.join(folder))?;
        }
        let tree = self.project_dir();
        match git_output(&["ls-files", "-z", "--cached"]) {
            Some(list) => {
                // A session may ask Git for the version: a clone has the history, the index and no file of its own.
                if Path::new(".git").exists() {
                    clone_repository(&tree)?;
                }
                for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
                    let name: &Path = Path::new(os_str_from_bytes(name));
                    copy_entry(name, &tree.join(name))?;
                }
                Ok(())
            }
            None => copy_folder(Path::new("."), &tree),
        }
    }

    /// Variables that make its home and caches the copy's own.
    pub(super) fn env_variables(&self) -> Vec<(&'static str, OsString)> {
        let home = self.root.join("home");
        let mut variables: Vec<(&'static str, OsString)> = vec![
            ("UV_CACHE_DIR", self.root.join("uv-cache").into()),
            ("PIP_CACHE_DIR", home.join(".cache/pip").into()),
            ("XDG_CACHE_HOME", home.join(".cache").into()),
            ("NOXIDE_CACHE_DIR", home.join(".cache/noxide").into()),
            ("TMPDIR", self.root.join("tmp").into()),
        ];
        // Where packages come from and which interpreters there are is no cache.
        if let Some(old) = std::env::var_os("HOME").map(PathBuf::from) {
            for (name, places) in [
                ("PYENV_ROOT", [".pyenv"].as_slice()),
                ("UV_CONFIG_FILE", &[".config/uv/uv.toml"]),
                ("PIP_CONFIG_FILE", &[".config/pip/pip.conf", ".pip/pip.conf"]),
            ] {
                let found = places.iter().map(|place| old.join(place)).find(|path| path.exists());
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
    let done = Command::new("git").args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    // A folder below a repository that tracks nothing of it is no project of that repository.
    (done.status.success() && !done.stdout.is_empty()).then_some(done.stdout)
}

fn clone_repository(tree: &Path) -> io::Result<()> {
    let done = Command::new("git")
        .args(["clone", "--quiet", "--shared", "--no-checkout", "."])
        .arg(tree)
        .stdin(Stdio::null())
        .output()?;
    if !done.status.success() {
        return Err(io::Error::other(format!("git clone: {}", String::from_utf8_lossy(&done.stderr).trim())));
    }
    // The index of the copy says that nothing is staged or deleted.
    let reset = Command::new("git").arg("-C").arg(tree).args(["reset", "--quiet"]).stdin(Stdio::null()).output()?;
    // Before the first commit there is nothing to reset to.
    let _ = reset;
    Ok(())
}

/// Copies a file or a link; one that is listed and gone, or a submodule's folder, is passed over.
fn copy_entry(from: &Path, to: &Path) -> io::Result<()> {
    let Ok(facts) = fs_err::symlink_metadata(from) else { return Ok(()) };
    if let Some(parent) = to.parent() {
        fs_err::create_dir_all(parent)?;
    }
    if facts.is_symlink() {
        std::os::unix::fs::symlink(fs_err::read_link(from)?, to)
    } else if facts.is_file() {
        fs_err::copy(from, to).map(|_| ())
    } else {
        Ok(())
    }
}

/// What tools leave in a project, and what is no part of it.
const SKIPPED_FOLDERS: [&str; 6] = [".nox", ".noxide", ".git", ".venv", "__pycache__", "target"];

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    let kept = |entry: &walkdir::DirEntry| {
        entry.depth() == 0 || !SKIPPED_FOLDERS.iter().any(|left| entry.file_name() == *left)
    };
    for entry in walkdir::WalkDir::new(from).into_iter().filter_entry(kept) {
        let entry = entry?;
        let name = entry.path().strip_prefix(from).unwrap_or(entry.path());
        copy_entry(entry.path(), &to.join(name))?;
    }
    Ok(())
}
