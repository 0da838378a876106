//! Tree scans: whether a session lists directories to scan the whole tree, or to select some files.

use std::collections::BTreeSet;
use std::path::Path;

use super::session_accesses::{SessionAccesses, parent_directory};
use crate::project::find_ignored_paths;

/// Facts about the project's tree, independent of the sessions.
#[derive(Clone, Copy)]
pub(crate) struct ProjectTree<'a> {
    /// Returns whether Git ignores a path.
    pub(crate) is_ignored: &'a dyn Fn(&str) -> bool,
    /// Top-level directories that a scan of the whole tree visits: neither hidden nor ignored.
    pub(crate) top_level_directories: &'a [String],
}

impl ProjectTree<'_> {
    pub(super) fn is_ignored(&self, path: &str) -> bool {
        (self.is_ignored)(path)
    }
}

/// Top-level directories and ignored paths of a project's tree, as reported by Git.
#[derive(Debug)]
pub(crate) struct GitTreeFacts {
    /// Ignored paths among those that sessions changed, and among their parent directories.
    ignored: BTreeSet<String>,
    /// Top-level directories that a scan of the whole tree visits.
    directories: Vec<String>,
}

impl GitTreeFacts {
    /// Asks Git about the paths that sessions changed; takes 1 to 3 ms.
    pub(crate) fn for_accesses<'a>(accesses: impl Iterator<Item = &'a SessionAccesses>, root: &Path) -> Self {
        let entries = fs_err::read_dir(root).into_iter().flatten().flatten();
        let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let names = directories.filter_map(|entry| entry.file_name().into_string().ok());
        let mut directories: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        let mut paths: BTreeSet<String> = directories.iter().cloned().collect();
        for path in accesses.flat_map(|accesses| accesses.changes.keys()).filter(|path| !path.starts_with('/')) {
            paths.insert(path.clone());
            paths.extend(path.rsplit_once('/').map(|(directory, _)| directory.to_owned()));
        }
        let ignored = find_ignored_paths(root, &paths);
        directories.retain(|directory| !ignored.contains(directory));
        Self { ignored, directories }
    }

    /// Calls a function with the facts about the tree.
    pub(crate) fn with_tree<T>(&self, function: impl FnOnce(ProjectTree<'_>) -> T) -> T {
        function(ProjectTree {
            is_ignored: &|path| self.ignored.contains(path),
            top_level_directories: &self.directories,
        })
    }
}

/// Returns whether a session sees a path only because it scans the tree.
///
/// True for a path that Git ignores if the session lists every top-level directory, lists the path's directory, and
/// opens nothing in it except files that it changes. Scanners that skip ignored files (semgrep) do this; `make` does not,
/// because it lists only the directories in its rules. Also true for per-process coverage data of which only metadata is
/// read, as by pytest when it collects from the project root.
pub(super) fn is_only_scanned(accesses: &SessionAccesses, path: &str, tree: ProjectTree<'_>) -> bool {
    let parent = parent_directory(path);
    let lists = |directory: &str| accesses.listed.contains(directory);
    if lists(parent) && accesses.stat_only.contains(path) && is_process_coverage_file(path) {
        return true;
    }
    let is_changed_or_stat = |other: &str| accesses.stat_only.contains(other) || accesses.changes.contains_key(other);
    let opens = |other: &String| parent_directory(other) == parent && !is_changed_or_stat(other);
    let scans_tree = lists(".") && tree.top_level_directories.iter().all(|directory| lists(directory));
    scans_tree && lists(parent) && tree.is_ignored(path) && !accesses.read.iter().any(opens)
}

/// Returns whether a file name is that of coverage's per-process data (`.coverage.HOST.pid123.XyR4t…`), which a program
/// can only know from a listing. See `filename_suffix` in coverage's `data.py`.
fn is_process_coverage_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_process = |part: &str| {
        part.strip_prefix("pid")
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let parts: Vec<&str> = name.split('.').collect();
    parts.windows(2).any(|pair| is_process(pair[0]) && pair[1].starts_with('X') && pair[1].len() > 5)
}

/// Returns whether a directory is inside the project, where Git's ignore rules apply.
pub(super) fn is_project_directory(directory: &str) -> bool {
    !directory.starts_with('/')
}

/// Returns whether a session that lists a directory reads or changes some entries of it: it ignores the other entries.
pub(super) fn is_selective_listing(accesses: &SessionAccesses, directory: &str) -> bool {
    let within = |above: &str, other: &str| other.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
    let in_directory = |other: &str| if directory == "." { !other.starts_with('/') } else { within(directory, other) };
    let mut touched = accesses.read.iter().chain(accesses.changes.keys()).map(String::as_str);
    touched.any(in_directory)
}
