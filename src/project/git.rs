//! The commit a project stands on.

use std::collections::BTreeSet;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// What Git says of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GitCheckout {
    /// The commit checked out.
    pub(crate) commit: String,
    /// Whether tracked files differ from it.
    pub(crate) dirty: bool,
}

impl GitCheckout {
    /// The checkout that `folder` is in; none without Git, without a repository, or before the first commit.
    pub(crate) fn detect(folder: &Path) -> Option<Self> {
        let commit = run_git(folder, &["rev-parse", "--verify", "--quiet", "HEAD"])?;
        let status = run_git(folder, &["status", "--porcelain", "--untracked-files=no"])?;
        Some(Self { commit, dirty: !status.is_empty() })
    }
}

/// Which of these paths, relative to `folder`, Git ignores; none without Git or a repository.
pub(crate) fn find_ignored_paths(folder: &Path, paths: &BTreeSet<String>) -> BTreeSet<String> {
    let mut asked: Vec<u8> = Vec::new();
    for path in paths {
        asked.extend(path.as_bytes());
        asked.push(0);
    }
    let ask = || -> std::io::Result<Vec<u8>> {
        // From a file: git says its first answers before it has read all.
        let mut questions = tempfile::tempfile()?;
        questions.write_all(&asked)?;
        questions.seek(SeekFrom::Start(0))?;
        let mut command = Command::new("git");
        command.arg("-C").arg(folder).args(["check-ignore", "-z", "--stdin"]);
        Ok(command.stdin(questions).stderr(Stdio::null()).output()?.stdout)
    };
    let said = ask().unwrap_or_default();
    said.split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
        .map(|path| String::from_utf8_lossy(path).into())
        .collect()
}

/// The commit that a name stands for (a branch, a tag, the beginning of a digest) and those before it, newest first.
///
/// Empty where Git knows no such name; at most `most`.
pub(crate) fn list_commits(folder: &Path, name: &str, most: usize) -> Vec<String> {
    let count = format!("--max-count={most}");
    // A name is no flag, however it begins.
    let said = run_git(folder, &["rev-list", "--first-parent", &count, "--end-of-options", name, "--"]);
    said.unwrap_or_default().lines().map(str::to_owned).collect()
}

fn run_git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let done = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .env("GIT_OPTIONAL_LOCKS", "0") // only looks: must not fight with a git that works
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    done.status.success().then(|| String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_clean_until_a_tracked_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let settings = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"];
            let done = Command::new("git").arg("-C").arg(folder.path()).args(settings).args(arguments).output();
            assert!(done.unwrap().status.success());
        };
        assert_eq!(GitCheckout::detect(folder.path()), None);
        assert!(list_commits(folder.path(), "HEAD", 9).is_empty());
        git(&["init", "--quiet"]);
        assert_eq!(GitCheckout::detect(folder.path()), None);
        fs_err::File::create(folder.path().join("a")).unwrap();
        git(&["add", "a"]);
        git(&["commit", "--quiet", "-m", "one"]);
        let first = GitCheckout::detect(folder.path()).unwrap();
        assert!(!first.dirty && first.commit.len() >= 40);
        fs_err::File::create(folder.path().join("untracked")).unwrap();
        assert_eq!(GitCheckout::detect(folder.path()).unwrap(), first);
        let mut file = fs_err::OpenOptions::new().append(true).open(folder.path().join("a")).unwrap();
        std::io::Write::write_all(&mut file, b"x").unwrap();
        assert!(GitCheckout::detect(folder.path()).unwrap().dirty);
        assert_eq!(GitCheckout::detect(Path::new("/nonexistent")), None);
        fs_err::write(folder.path().join(".gitignore"), "build/\n*.db\n").unwrap();
        let asked = ["build/x", "a", "x.db", "dist"].map(str::to_owned).into();
        assert_eq!(find_ignored_paths(folder.path(), &asked), ["build/x", "x.db"].map(str::to_owned).into());
        assert!(find_ignored_paths(Path::new("/nonexistent"), &asked).is_empty());
    }
}
