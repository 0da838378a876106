//! Which paths count: those that sessions share, not the system's, not caches that are made for sharing.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Folders of the system: only changes in them count, for nobody can keep apart who reads them.
const SYSTEM: &[&str] = &["/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/opt"];

/// Folders that hold no files at all.
const NO_FILES: &[&str] = &["/proc", "/sys", "/dev"];

/// Folders anywhere that tools keep for themselves and share with care.
const CACHES: &[&str] = &[
    "__pycache__", // written by rename, the same bytes for the same source; a read of it stands beside a look at the source
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    ".pytype",
    ".import_linter_cache",
    ".noxide",
    "site-packages", // of some environment
];

/// Git's own working data: what two of its commands do to it at once is Git's own care. Refs and HEAD do count.
const GIT: &[&str] = &["index", "index.lock", "objects", "fsmonitor--daemon"];

/// The file by which a folder says that it is a cache.
const TAG: &str = "CACHEDIR.TAG";

/// How many folders are remembered.
const MOST_FOLDERS: usize = 50_000;

/// Where a session works.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The project's root folder, without links.
    pub root: PathBuf,
    /// Environments, temporary folders and caches that are its own or made for sharing.
    pub left_out: Vec<PathBuf>,
}

/// Which paths count for one session.
#[derive(Clone, Debug)]
pub struct Scope {
    surroundings: Surroundings,
    tagged: HashMap<PathBuf, bool>,
    /// What counts in the folders met so far, each by its text.
    folders: HashMap<OsString, Counted>,
}

/// What counts in a folder: nothing, changes alone, or all.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    reads: bool,
    changes: bool,
    /// Whether it is Git's.
    in_git: bool,
}

impl Counted {
    fn counts(self, reading: bool) -> bool {
        if reading { self.reads } else { self.changes }
    }

    /// Whether what has this name in the folder is a tool's own: a cache, or Git's working data.
    fn keeps_apart(self, name: &[u8]) -> bool {
        let is = |known: &&str| known.as_bytes() == name;
        CACHES.iter().any(is) || name.starts_with(b"pytest-of-") || (self.in_git && GIT.iter().any(is))
    }
}

impl Scope {
    /// The scope of a session.
    pub fn new(mut surroundings: Surroundings) -> Self {
        let real = |path: &PathBuf| fs_err::canonicalize(path).ok().filter(|real| real != path);
        let more: Vec<PathBuf> = surroundings.left_out.iter().filter_map(real).collect();
        surroundings.left_out.extend(more);
        surroundings.left_out.retain(|path| path.is_absolute() && path.components().count() > 1);
        Self { surroundings, tagged: HashMap::new(), folders: HashMap::new() }
    }

    /// A path as it is shown and kept: relative to the project where it lies in it.
    pub fn shown(&self, path: &Path) -> String {
        match path.strip_prefix(&self.surroundings.root) {
            Ok(rest) if rest.as_os_str().is_empty() => ".".to_owned(),
            Ok(rest) => rest.to_string_lossy().into_owned(),
            Err(_) => path.to_string_lossy().into_owned(),
        }
    }

    /// Whether a path can count at all, as its text alone shows. Cheap: asked for every call.
    pub fn may_count(&mut self, path: &Path, reading: bool) -> bool {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return self.judge(path).counts(reading);
        };
        if folder.parent().is_none() {
            return self.judge(path).counts(reading); // `/usr` and its like are told by their whole path
        }
        let above = if let Some(known) = self.folders.get(folder.as_os_str()) {
            *known
        } else {
            if self.folders.len() >= MOST_FOLDERS {
                self.folders.clear();
            }
            let judged = self.judge(folder);
            self.folders.insert(folder.as_os_str().to_owned(), judged);
            judged
        };
        let left_out = || self.surroundings.left_out.iter().any(|left_out| left_out.as_os_str() == path.as_os_str());
        above.counts(reading) && !above.keeps_apart(name.as_bytes()) && !left_out()
    }

    /// What counts at a path and below it, as its text alone shows.
    fn judge(&self, path: &Path) -> Counted {
        let below = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
        if below(NO_FILES) || self.surroundings.left_out.iter().any(|folder| path.starts_with(folder)) {
            return Counted::default();
        }
        let reads = !below(SYSTEM) || path.starts_with(&self.surroundings.root);
        let mut found = Counted { reads, changes: true, in_git: false };
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            if found.keeps_apart(name.as_bytes()) {
                return Counted::default();
            }
            found.in_git = name == ".git";
        }
        found
    }

    /// Whether a path counts: also no folder above it says that it is a cache.
    pub fn counts(&mut self, path: &Path, reading: bool) -> bool {
        self.may_count(path, reading) && !self.is_tagged(path.parent().unwrap_or(path))
    }

    fn is_tagged(&mut self, folder: &Path) -> bool {
        if folder == self.surroundings.root || folder.parent().is_none() {
            return false;
        }
        if let Some(known) = self.tagged.get(folder) {
            return *known;
        }
        let above = folder.parent().is_some_and(|above| self.is_tagged(above));
        let tagged = above || folder.join(TAG).exists();
        self.tagged.insert(folder.to_path_buf(), tagged);
        tagged
    }

    /// Forgets which folders say that they are caches: a session may just have made them.
    pub fn look_again(&mut self) {
        self.tagged.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let left_out = vec![root.join(".nox"), root.join("link"), PathBuf::from("relative"), PathBuf::from("/")];
        fs_err::create_dir_all(root.join("own")).unwrap();
        std::os::unix::fs::symlink("own", root.join("link")).unwrap();
        let mut scope = Scope::new(Surroundings { root: root.clone(), left_out });
        for (path, counts) in [
            ("src/a.py", true),
            ("build/x", true),
            (".nox/tests/bin/python", false),
            (".nox", false),
            ("sub/.git/index", false),
            (".git/refs/index", true),
            ("src/.ruff_cache", false),
            ("own/file", false),
            ("src/__pycache__/a.pyc", false),
            (".git/HEAD", true),
            (".git/index", false),
            (".git/objects/ab/cd", false),
            ("index", true),
            ("pytest-of-me/pytest-1/x", false),
        ] {
            assert_eq!(scope.counts(&root.join(path), true), counts, "{path}");
        }
        for (path, reading, counts) in [
            ("/usr/lib/x", true, false),
            ("/usr/lib/x", false, true),
            ("/proc/1/stat", false, false),
            ("/proc", true, false),
            ("/usr", true, false),
            ("/etc/../usr/..", true, false),
            ("/tmp/x", true, true),
        ] {
            assert_eq!(scope.counts(Path::new(path), reading), counts, "{path}");
        }
        fs_err::create_dir_all(root.join("cache/a")).unwrap();
        assert!(scope.counts(&root.join("cache/a/b"), false));
        fs_err::write(root.join("cache").join(TAG), "").unwrap();
        scope.look_again();
        assert!(!scope.counts(&root.join("cache/a/b"), false));
        assert_eq!(scope.shown(&root.join("a/b")), "a/b");
        assert_eq!(scope.shown(&root), ".");
        assert_eq!(scope.shown(Path::new("/x")), "/x");
    }
}
