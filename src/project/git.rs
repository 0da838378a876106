//! The commit a project stands on.

use std::path::Path;
use std::process::{Command, Stdio};

/// What Git says of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkout {
    /// The commit checked out.
    pub commit: String,
    /// Whether tracked files differ from it.
    pub dirty: bool,
}

impl Checkout {
    /// The checkout that `folder` is in; none without Git, without a repository, or before the first commit.
    pub fn of(folder: &Path) -> Option<Self> {
        let commit = git(folder, &["rev-parse", "--verify", "--quiet", "HEAD"])?;
        let status = git(folder, &["status", "--porcelain", "--untracked-files=no"])?;
        Some(Self { commit, dirty: !status.is_empty() })
    }
}

/// The commit that a name stands for (a branch, a tag, the beginning of a digest) and those before it, newest first.
///
/// Empty where Git knows no such name; at most `most`.
pub fn commits_of(folder: &Path, name: &str, most: usize) -> Vec<String> {
    let count = format!("--max-count={most}");
    // A name is no flag, however it begins.
    let said = git(folder, &["rev-list", "--first-parent", &count, "--end-of-options", name, "--"]);
    said.unwrap_or_default().lines().map(str::to_owned).collect()
}

fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
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
        assert_eq!(Checkout::of(folder.path()), None);
        assert!(commits_of(folder.path(), "HEAD", 9).is_empty());
        git(&["init", "--quiet"]);
        assert_eq!(Checkout::of(folder.path()), None);
        fs_err::File::create(folder.path().join("a")).unwrap();
        git(&["add", "a"]);
        git(&["commit", "--quiet", "-m", "one"]);
        let first = Checkout::of(folder.path()).unwrap();
        assert!(!first.dirty && first.commit.len() >= 40);
        fs_err::File::create(folder.path().join("untracked")).unwrap();
        assert_eq!(Checkout::of(folder.path()).unwrap(), first);
        let mut file = fs_err::OpenOptions::new().append(true).open(folder.path().join("a")).unwrap();
        std::io::Write::write_all(&mut file, b"x").unwrap();
        assert!(Checkout::of(folder.path()).unwrap().dirty);
        assert_eq!(Checkout::of(Path::new("/nonexistent")), None);
    }
}
