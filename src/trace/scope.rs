//! Trace scope: the paths that sessions can conflict on, without system directories and tool caches.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// System directories: only changes count, since reads of them cannot conflict in practice.
const SYSTEM_FOLDERS: &[&str] = &["/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/opt"];

/// Pseudo file systems, which hold no files.
const PSEUDO_FILE_SYSTEMS: &[&str] = &["/proc", "/sys", "/dev"];

/// Directory names that tools use for caches and access safely from several processes.
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

/// Git's working data, which Git itself synchronizes. Refs and HEAD do count.
const GIT_WORKING_FILES: &[&str] = &["index", "index.lock", "objects", "fsmonitor--daemon"];

/// Marker file of a cache directory.
const CACHE_TAG_FILE: &str = "CACHEDIR.TAG";

/// Maximum number of cached directories.
const MAX_FOLDERS: usize = 50_000;

/// Paths of one session that determine its scope.
#[derive(Clone, Debug, Default)]
pub struct TraceContext {
    /// Project root, without links.
    pub(crate) root: PathBuf,
    /// Environments, temporary directories and caches that are private to the session or safe to share.
    pub(crate) excluded: Vec<PathBuf>,
}

/// Paths that count for one session.
#[derive(Clone, Debug)]
pub(crate) struct TraceScope {
    context: TraceContext,
    cache_tagged: HashMap<PathBuf, bool>,
    /// Rules of the directories seen so far, keyed by text.
    folder_rules: HashMap<OsString, FolderRules>,
}

/// What counts in a directory: nothing, changes only, or everything.
#[derive(Clone, Copy, Debug, Default)]
struct FolderRules {
    tracks_reads: bool,
    tracks_changes: bool,
    /// Whether the directory belongs to Git.
    in_git: bool,
}

impl FolderRules {
    fn is_tracked(self, reading: bool) -> bool {
        if reading { self.tracks_reads } else { self.tracks_changes }
    }

    /// Returns whether an entry of this name is private to a tool: a cache, or Git's working data.
    fn is_tool_owned(self, name: &[u8]) -> bool {
        let is = |known: &&str| known.as_bytes() == name;
        CACHE_FOLDER_NAMES.iter().any(is)
            || name.starts_with(b"pytest-of-")
            || (self.in_git && GIT_WORKING_FILES.iter().any(is))
    }
}

impl TraceScope {
    /// Creates the scope of a session.
    pub(crate) fn new(mut context: TraceContext) -> Self {
        let real = |path: &PathBuf| fs_err::canonicalize(path).ok().filter(|real| real != path);
        let more: Vec<PathBuf> = context.excluded.iter().filter_map(real).collect();
        context.excluded.extend(more);
        context.excluded.retain(|path| path.is_absolute() && path.components().count() > 1);
        Self { context, cache_tagged: HashMap::new(), folder_rules: HashMap::new() }
    }

    /// Returns a path as it is shown and stored: relative to the project if it lies in it.
    pub(crate) fn display_path(&self, path: &Path) -> String {
        match path.strip_prefix(&self.context.root) {
            Ok(rest) if rest.as_os_str().is_empty() => ".".to_owned(),
            Ok(rest) => rest.to_string_lossy().into_owned(),
            Err(_) => path.to_string_lossy().into_owned(),
        }
    }

    /// Returns whether a path can count, judged by its text alone. Cheap, since it runs for every call.
    pub(crate) fn can_be_tracked(&mut self, path: &Path, reading: bool) -> bool {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return self.rules_for_path(path).is_tracked(reading);
        };
        if folder.parent().is_none() {
            return self.rules_for_path(path).is_tracked(reading); // `/usr` and its like are reply by their whole path
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
        let excluded = || self.context.excluded.iter().any(|excluded| excluded.as_os_str() == path.as_os_str());
        above.is_tracked(reading) && !above.is_tool_owned(name.as_bytes()) && !excluded()
    }

    /// Returns the rules for a path and everything below it, judged by its text alone.
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

    /// Returns whether a path counts; unlike `can_be_tracked`, also checks the parent directories for cache markers.
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

    /// Forgets which directories are tagged as caches: a session may have created new ones.
    pub(crate) fn clear_cache_tags(&mut self) {
        self.cache_tagged.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_paths_are_in_scope() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let excluded = vec![root.join(".nox"), root.join("link"), PathBuf::from("relative"), PathBuf::from("/")];
        fs_err::create_dir_all(root.join("own")).unwrap();
        std::os::unix::fs::symlink("own", root.join("link")).unwrap();
        let mut scope = TraceScope::new(TraceContext { root: root.clone(), excluded });
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
