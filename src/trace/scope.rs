//! Which paths count: those that sessions share, not the system's, not caches that are made for sharing.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Folders of the system: only changes in them count, for nobody can keep apart who reads them.
const SYSTEM_FOLDERS: &[&str] = &["/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/opt"];

/// Folders that hold no files at all.
const PSEUDO_FILE_SYSTEMS: &[&str] = &["/proc", "/sys", "/dev"];

/// Folders anywhere that tools keep for themselves and share with care.
const CACHE_FOLDER_NAMES: &[&str] = &[
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
const GIT_WORKING_FILES: &[&str] = &["index", "index.lock", "objects", "fsmonitor--daemon"];

/// The file by which a folder says that it is a cache.
const CACHE_TAG_FILE: &str = "CACHEDIR.TAG";

/// How many folders are remembered.
const MAX_FOLDERS: usize = 50_000;

/// Where a session works.
#[derive(Clone, Debug, Default)]
pub struct TraceContext {
    /// The project's root folder, without links.
    pub(crate) root: PathBuf,
    /// Environments, temporary folders and caches that are its own or made for sharing.
    pub(crate) excluded: Vec<PathBuf>,
}

/// Which paths count for one session.
#[derive(Clone, Debug)]
pub(crate) struct TraceScope {
    context: TraceContext,
    cache_tagged: HashMap<PathBuf, bool>,
    /// What counts in the folders met so far, each by its text.
    folder_rules: HashMap<OsString, FolderRules>,
}

/// What counts in a folder: nothing, changes alone, or all.
#[derive(Clone, Copy, Debug, Default)]
struct FolderRules {
    tracks_reads: bool,
    tracks_changes: bool,
    /// Whether it is Git's.
    in_git: bool,
}

impl FolderRules {
    fn is_tracked(self, reading: bool) -> bool {
        if reading { self.tracks_reads } else { self.tracks_changes }
    }

    /// Whether what has this name in the folder is a tool's own: a cache, or Git's working data.
    fn is_tool_owned(self, name: &[u8]) -> bool {
        let is = |known: &&str| known.as_bytes() == name;
        CACHE_FOLDER_NAMES.iter().any(is)
            || name.starts_with(b"pytest-of-")
            || (self.in_git && GIT_WORKING_FILES.iter().any(is))
    }
}

impl TraceScope {
    /// The scope of a session.
    pub(crate) fn new(mut surroundings: TraceContext) -> Self {
        let real = |path: &PathBuf| fs_err::canonicalize(path).ok().filter(|real| real != path);
        let more: Vec<PathBuf> = surroundings.excluded.iter().filter_map(real).collect();
        surroundings.excluded.extend(more);
        surroundings.excluded.retain(|path| path.is_absolute() && path.components().count() > 1);
        Self { context: surroundings, cache_tagged: HashMap::new(), folder_rules: HashMap::new() }
    }

    /// A path as it is shown and kept: relative to the project where it lies in it.
    pub(crate) fn display_path(&self, path: &Path) -> String {
        match path.strip_prefix(&self.context.root) {
            Ok(rest) if rest.as_os_str().is_empty() => ".".to_owned(),
            Ok(rest) => rest.to_string_lossy().into_owned(),
            Err(_) => path.to_string_lossy().into_owned(),
        }
    }

    /// Whether a path can count at all, as its text alone shows. Cheap: asked for every call.
    pub(crate) fn can_be_tracked(&mut self, path: &Path, reading: bool) -> bool {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return self.rules_for_path(path).is_tracked(reading);
        };
        if folder.parent().is_none() {
            return self.rules_for_path(path).is_tracked(reading); // `/usr` and its like are told by their whole path
        }
        let above = if let Some(known) = self.folder_rules.get(folder.as_os_str()) {
            *known
        } else {
            if self.folder_rules.len() >= MAX_FOLDERS {
                self.folder_rules.clear();
            }
            let judged = self.rules_for_path(folder);
            self.folder_rules.insert(folder.as_os_str().to_owned(), judged);
            judged
        };
        let left_out = || self.context.excluded.iter().any(|left_out| left_out.as_os_str() == path.as_os_str());
        above.is_tracked(reading) && !above.is_tool_owned(name.as_bytes()) && !left_out()
    }

    /// What counts at a path and below it, as its text alone shows.
    fn rules_for_path(&self, path: &Path) -> FolderRules {
        let below = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
        if below(PSEUDO_FILE_SYSTEMS) || self.context.excluded.iter().any(|folder| path.starts_with(folder)) {
            return FolderRules::default();
        }
        let reads = !below(SYSTEM_FOLDERS) || path.starts_with(&self.context.root);
        let mut found = FolderRules { tracks_reads: reads, tracks_changes: true, in_git: false };
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            if found.is_tool_owned(name.as_bytes()) {
                return FolderRules::default();
            }
            found.in_git = name == ".git";
        }
        found
    }

    /// Whether a path counts: also no folder above it says that it is a cache.
    pub(crate) fn is_tracked(&mut self, path: &Path, reading: bool) -> bool {
        self.can_be_tracked(path, reading) && !self.is_cache_tagged(path.parent().unwrap_or(path))
    }

    fn is_cache_tagged(&mut self, folder: &Path) -> bool {
        if folder == self.context.root || folder.parent().is_none() {
            return false;
        }
        if let Some(known) = self.cache_tagged.get(folder) {
            return *known;
        }
        let above = folder.parent().is_some_and(|above| self.is_cache_tagged(above));
        let tagged = above || folder.join(CACHE_TAG_FILE).exists();
        self.cache_tagged.insert(folder.to_path_buf(), tagged);
        tagged
    }

    /// Forgets which folders say that they are caches: a session may just have made them.
    pub(crate) fn clear_cache_tags(&mut self) {
        self.cache_tagged.clear();
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
        let mut scope = TraceScope::new(TraceContext { root: root.clone(), excluded: left_out });
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
            assert_eq!(scope.is_tracked(&root.join(path), true), counts, "{path}");
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
            assert_eq!(scope.is_tracked(Path::new(path), reading), counts, "{path}");
        }
        fs_err::create_dir_all(root.join("cache/a")).unwrap();
        assert!(scope.is_tracked(&root.join("cache/a/b"), false));
        fs_err::write(root.join("cache").join(CACHE_TAG_FILE), "").unwrap();
        scope.clear_cache_tags();
        assert!(!scope.is_tracked(&root.join("cache/a/b"), false));
        assert_eq!(scope.display_path(&root.join("a/b")), "a/b");
        assert_eq!(scope.display_path(&root), ".");
        assert_eq!(scope.display_path(Path::new("/x")), "/x");
    }
}
