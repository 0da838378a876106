//! Git state of a project: commit, ignored files, history.

use std::collections::BTreeSet;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

/// The commit, files and cleanliness of a Git checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GitCheckout {
    pub(crate) commit: String,
    /// Whether tracked files differ from it.
    pub(crate) dirty: bool,
    /// Git's digest of the files, if they are exactly those of the commit, apart from ignored ones.
    pub(crate) tree: Option<String>,
}

impl GitCheckout {
    /// Detects the checkout on a thread of its own.
    pub(crate) fn detect_in_background(directory: PathBuf) -> JoinHandle<Option<Self>> {
        std::thread::spawn(move || Self::detect(&directory))
    }

    /// Detects the checkout that `directory` is in; `None` without Git, without a repository, or before the first commit.
    pub(crate) fn detect(directory: &Path) -> Option<Self> {
        let commit = run_git(directory, &["rev-parse", "--verify", "--quiet", "HEAD"])?;
        let status = run_git(directory, &["status", "--porcelain", "--untracked-files=normal"])?;
        let dirty = status.lines().any(|line| !line.starts_with("??"));
        let tree = if status.is_empty() { run_git(directory, &["rev-parse", "HEAD^{tree}"]) } else { None };
        Some(Self { commit, dirty, tree })
    }

    /// Returns the first digits of the commit, followed by `+` if tracked files differ from it.
    pub(crate) fn short_commit(&self) -> String {
        let short = self.commit.get(..12).unwrap_or(&self.commit);
        format!("{short}{}", if self.dirty { "+" } else { "" })
    }
}

/// Returns those of these paths, relative to `directory`, that Git ignores; empty without Git or a repository.
pub(crate) fn find_ignored_paths(directory: &Path, paths: &BTreeSet<String>) -> BTreeSet<String> {
    let mut input: Vec<u8> = Vec::new();
    for path in paths {
        input.extend(path.as_bytes());
        input.push(0);
    }
    let check = || -> std::io::Result<Vec<u8>> {
        // A file, because git writes output before it has read all input: with pipes both processes could block.
        let mut file = tempfile::tempfile()?;
        file.write_all(&input)?;
        file.seek(SeekFrom::Start(0))?;
        let mut command = Command::new("git");
        command.arg("-C").arg(directory).args(["check-ignore", "-z", "--stdin"]);
        Ok(command.stdin(file).stderr(Stdio::null()).output()?.stdout)
    };
    let output = check().unwrap_or_default();
    output
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
        .map(|path| String::from_utf8_lossy(path).into())
        .collect()
}

/// Returns the commit of a revision (a branch, a tag, a short hash) and its ancestors, newest first, at most `limit`.
///
/// Empty where Git does not know the revision.
pub(crate) fn list_commits(directory: &Path, revision: &str, limit: usize) -> Vec<String> {
    let count = format!("--max-count={limit}");
    // `--end-of-options`: a revision that begins with a dash is not a flag.
    let output = run_git(directory, &["rev-list", "--first-parent", &count, "--end-of-options", revision, "--"]);
    output.unwrap_or_default().lines().map(str::to_owned).collect()
}

fn run_git(directory: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(arguments)
        .env("GIT_OPTIONAL_LOCKS", "0") // read-only: must not compete with a running git
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_is_clean_until_a_tracked_file_changes() {
        let directory = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let settings = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"];
            let done = Command::new("git").arg("-C").arg(directory.path()).args(settings).args(arguments).output();
            assert!(done.unwrap().status.success());
        };
        assert_eq!(GitCheckout::detect(directory.path()), None);
        assert!(list_commits(directory.path(), "HEAD", 9).is_empty());
        git(&["init", "--quiet"]);
        assert_eq!(GitCheckout::detect(directory.path()), None);
        fs_err::File::create(directory.path().join("a")).unwrap();
        git(&["add", "a"]);
        git(&["commit", "--quiet", "-m", "one"]);
        let first = GitCheckout::detect(directory.path()).unwrap();
        assert!(!first.dirty && first.commit.len() >= 40 && first.tree.is_some());
        fs_err::File::create(directory.path().join("untracked")).unwrap();
        assert_eq!(GitCheckout::detect(directory.path()).unwrap(), GitCheckout { tree: None, ..first });
        let mut file = fs_err::OpenOptions::new().append(true).open(directory.path().join("a")).unwrap();
        std::io::Write::write_all(&mut file, b"x").unwrap();
        assert!(GitCheckout::detect(directory.path()).unwrap().dirty);
        assert_eq!(GitCheckout::detect(Path::new("/nonexistent")), None);
        fs_err::write(directory.path().join(".gitignore"), "build/\n*.db\n").unwrap();
        let paths = ["build/x", "a", "x.db", "dist"].map(str::to_owned).into();
        assert_eq!(find_ignored_paths(directory.path(), &paths), ["build/x", "x.db"].map(str::to_owned).into());
        assert!(find_ignored_paths(Path::new("/nonexistent"), &paths).is_empty());
    }
}
