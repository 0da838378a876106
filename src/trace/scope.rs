//! Trace scope: the paths that sessions can conflict on, excluding system directories and tool caches.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::project::RUN_DATA_DIR;

/// System directories, in which only changes are tracked, because sessions hardly ever change what others read there.
const SYSTEM_DIRECTORIES: &[&str] = &["/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/opt"];

/// Pseudo file systems, which contain no regular files.
const PSEUDO_FILE_SYSTEMS: &[&str] = &["/proc", "/sys", "/dev"];

/// Names of cache directories that tools can use from several processes at once.
const CACHE_DIRECTORY_NAMES: &[&str] = &[
    "__pycache__", // written by rename, with equal content for equal sources; a changed source is a conflict of its own
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    ".pytype",
    ".import_linter_cache",
    RUN_DATA_DIR,
];

/// Git's working data, which Git itself synchronizes. Index, refs and HEAD are tracked: sessions read what others change there.
const GIT_WORKING_FILES: &[&str] = &["index.lock", "objects", "fsmonitor--daemon"];

/// File that identifies a virtual environment. Tools put `CACHEDIR.TAG` into environments too, but an environment that
/// sessions share causes conflicts; those of single sessions are excluded by path.
const ENVIRONMENT_FILE: &str = "pyvenv.cfg";

/// File that identifies a cache directory, by the Cache Directory Tagging Specification.
const CACHE_TAG_FILE: &str = "CACHEDIR.TAG";

/// Maximum number of memoized directories.
const MAX_DIRECTORIES: usize = 50_000;

/// Paths that determine the scope of a session.
#[derive(Clone, Debug, Default)]
pub struct TraceContext {
    /// Project root, without links.
    pub(crate) root: PathBuf,
    /// Environments, temporary directories and caches that are private to the session or safe to share.
    pub(crate) excluded: Vec<PathBuf>,
}

/// Decides which paths are tracked for one session.
#[derive(Clone, Debug)]
pub(crate) struct TraceScope {
    context: TraceContext,
    cache_tagged: HashMap<PathBuf, bool>,
    /// Memoized rules, by path of the directory as text.
    directory_rules: HashMap<OsString, DirectoryRules>,
}

/// Which accesses are tracked in a directory: none, changes only, or all.
#[derive(Clone, Copy, Debug, Default)]
struct DirectoryRules {
    tracks_reads: bool,
    tracks_changes: bool,
    /// Whether the directory belongs to Git.
    in_git: bool,
}

impl DirectoryRules {
    fn is_tracked(self, reading: bool) -> bool {
        if reading { self.tracks_reads } else { self.tracks_changes }
    }

    /// Returns whether an entry of this name is private to a tool: a cache, or Git's working data.
    fn is_tool_owned(self, name: &[u8]) -> bool {
        let is_same = |known: &&str| known.as_bytes() == name;
        CACHE_DIRECTORY_NAMES.iter().any(is_same)
            || name.starts_with(b"pytest-of-")
            || (self.in_git && GIT_WORKING_FILES.iter().any(is_same))
    }
}

impl TraceScope {
    /// Creates the scope of a session.
    pub(crate) fn new(mut context: TraceContext) -> Self {
        let real = |path: &PathBuf| fs_err::canonicalize(path).ok().filter(|real| real != path);
        let more: Vec<PathBuf> = context.excluded.iter().filter_map(real).collect();
        context.excluded.extend(more);
        context.excluded.retain(|path| path.is_absolute() && path.components().count() > 1);
        Self { context, cache_tagged: HashMap::new(), directory_rules: HashMap::new() }
    }

    /// Returns a path as it is shown and stored: relative to the project if it is inside.
    pub(crate) fn display_path(&self, path: &Path) -> String {
        match path.strip_prefix(&self.context.root) {
            Ok(rest) if rest.as_os_str().is_empty() => ".".to_owned(),
            Ok(rest) => rest.to_string_lossy().into_owned(),
            Err(_) => path.to_string_lossy().into_owned(),
        }
    }

    /// Returns whether a path may be tracked, without accessing the file system, because this runs for every call.
    pub(crate) fn can_be_tracked(&mut self, path: &Path, reading: bool) -> bool {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return self.rules_for_path(path).is_tracked(reading);
        };
        if directory.parent().is_none() {
            return self.rules_for_path(path).is_tracked(reading); // rules for `/usr` and so on match the path itself
        }
        let rules = if let Some(known) = self.directory_rules.get(directory.as_os_str()) {
            *known
        } else {
            if self.directory_rules.len() >= MAX_DIRECTORIES {
                self.directory_rules.clear();
            }
            let rules = self.rules_for_path(directory);
            self.directory_rules.insert(directory.as_os_str().to_owned(), rules);
            rules
        };
        let is_excluded = || self.context.excluded.iter().any(|excluded| excluded.as_os_str() == path.as_os_str());
        rules.is_tracked(reading) && !rules.is_tool_owned(name.as_bytes()) && !is_excluded()
    }

    /// Returns the rules for a path and everything below it, without accessing the file system.
    fn rules_for_path(&self, path: &Path) -> DirectoryRules {
        let below = |directories: &[&str]| directories.iter().any(|directory| path.starts_with(directory));
        if below(PSEUDO_FILE_SYSTEMS) || self.context.excluded.iter().any(|directory| path.starts_with(directory)) {
            return DirectoryRules::default();
        }
        let reads = !below(SYSTEM_DIRECTORIES) || path.starts_with(&self.context.root);
        let mut rules = DirectoryRules { tracks_reads: reads, tracks_changes: true, in_git: false };
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            if rules.is_tool_owned(name.as_bytes()) {
                return DirectoryRules::default();
            }
            rules.in_git = name == ".git";
        }
        rules
    }

    /// Returns whether a path is tracked; unlike `can_be_tracked`, also checks the parent directories for a `CACHEDIR.TAG`.
    pub(crate) fn is_tracked(&mut self, path: &Path, reading: bool) -> bool {
        self.can_be_tracked(path, reading) && !self.is_cache_tagged(path.parent().unwrap_or(path))
    }

    fn is_cache_tagged(&mut self, directory: &Path) -> bool {
        if directory == self.context.root || directory.parent().is_none() {
            return false;
        }
        if let Some(known) = self.cache_tagged.get(directory) {
            return *known;
        }
        let is_tagged = |scope: &mut Self| {
            directory.parent().is_some_and(|above| scope.is_cache_tagged(above))
                || directory.join(CACHE_TAG_FILE).exists()
        };
        let tagged = !directory.join(ENVIRONMENT_FILE).exists() && is_tagged(self);
        self.cache_tagged.insert(directory.to_path_buf(), tagged);
        tagged
    }

    /// Clears the cached results of looking for `CACHEDIR.TAG`, because a session may have created new ones.
    pub(crate) fn clear_cache_tags(&mut self) {
        self.cache_tagged.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_paths_are_in_scope() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let excluded = vec![root.join(".nox"), root.join("link"), PathBuf::from("relative"), PathBuf::from("/")];
        fs_err::create_dir_all(root.join("own")).unwrap();
        std::os::unix::fs::symlink("own", root.join("link")).unwrap();
        let mut scope = TraceScope::new(TraceContext { root: root.clone(), excluded });
        for (path, tracked) in [
            ("src/a.py", true),
            ("build/x", true),
            (".nox/tests/bin/python", false),
            (".nox", false),
            ("sub/.git/index", true),
            (".git/refs/index", true),
            ("src/.ruff_cache", false),
            ("own/file", false),
            ("src/__pycache__/a.pyc", false),
            (".git/HEAD", true),
            (".git/index", true),
            (".git/index.lock", false),
            (".git/objects/ab/cd", false),
            ("index", true),
            ("pytest-of-me/pytest-1/x", false),
        ] {
            assert_eq!(scope.is_tracked(&root.join(path), true), tracked, "{path}");
        }
        for (path, reading, tracked) in [
            ("/usr/lib/x", true, false),
            ("/usr/lib/x", false, true),
            ("/proc/1/stat", false, false),
            ("/proc", true, false),
            ("/usr", true, false),
            ("/etc/../usr/..", true, false),
            ("/tmp/x", true, true),
        ] {
            assert_eq!(scope.is_tracked(Path::new(path), reading), tracked, "{path}");
        }
        fs_err::create_dir_all(root.join("cache/a")).unwrap();
        assert!(scope.is_tracked(&root.join("cache/a/b"), false));
        fs_err::write(root.join("cache").join(CACHE_TAG_FILE), "").unwrap();
        scope.clear_cache_tags();
        assert!(!scope.is_tracked(&root.join("cache/a/b"), false));
        fs_err::write(root.join("cache/a/pyvenv.cfg"), "").unwrap();
        scope.clear_cache_tags();
        assert!(scope.is_tracked(&root.join("cache/a/lib/python3/site-packages/b.py"), false), "an environment");
        assert_eq!(scope.display_path(&root.join("a/b")), "a/b");
        assert_eq!(scope.display_path(&root), ".");
        assert_eq!(scope.display_path(Path::new("/x")), "/x");
    }
}
