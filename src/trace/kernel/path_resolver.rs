//! Path resolution as the kernel does it: links followed, each directory resolved once.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Maximum number of links in one path, as in Linux.
const MAX_LINKS: usize = 40;

/// Maximum number of resolved directories that are remembered.
const MAX_DIRECTORIES: usize = 50_000;

/// Maximum number of dependencies that are kept (about 16 MB).
const MAX_DEPENDENCY_PATHS: usize = 1_000_000;

/// A resolved path.
#[derive(Debug)]
pub(super) struct ResolvedPath {
    /// The path without links, as far as it exists.
    pub(super) path: PathBuf,
    /// Metadata of the file, or `None` if it does not exist.
    pub(super) metadata: Option<Metadata>,
    /// Links that were followed: changing one of them changes the target.
    pub(super) links: Vec<PathBuf>,
}

/// Cache of resolved directories.
#[derive(Debug, Default)]
pub(super) struct PathResolver {
    /// Keys are strings, because hashing a `PathBuf` by its components is slow.
    resolved_directories: HashMap<OsString, PathBuf>,
    /// Digests of all paths that recorded accesses depend on.
    dependency_paths: HashSet<u64>,
}

impl PathResolver {
    /// Resolves an absolute path; follows a link in the last component if `follow` is set.
    pub(super) fn resolve(&mut self, path: &Path, follow: bool) -> ResolvedPath {
        let mut links = Vec::new();
        let mut path = path.to_path_buf();
        // A trailing slash refers to the target of a link.
        let follow = follow || path.as_os_str().as_bytes().ends_with(b"/");
        loop {
            let Some((directory, name)) = split_file_name(&path) else {
                let path = self.resolve_directory(&path, &mut links);
                let metadata = fs_err::symlink_metadata(&path).ok();
                return ResolvedPath { path, metadata, links };
            };
            let candidate = self.resolve_directory(directory, &mut links).join(name);
            let metadata = fs_err::symlink_metadata(&candidate).ok();
            let is_link = metadata.as_ref().is_some_and(|metadata| metadata.file_type().is_symlink());
            if !is_link || !follow || links.len() >= MAX_LINKS {
                return ResolvedPath { path: candidate, metadata, links };
            }
            let target = fs_err::read_link(&candidate).unwrap_or_default();
            path = candidate.parent().unwrap_or(Path::new("/")).join(target);
            self.add_dependency(&candidate);
            links.push(candidate);
        }
    }

    /// Resolves a directory; components that do not exist are not changed.
    fn resolve_directory(&mut self, path: &Path, links: &mut Vec<PathBuf>) -> PathBuf {
        if let Some(known) = self.resolved_directories.get(path.as_os_str()) {
            return known.clone();
        }
        let mut real = PathBuf::from("/");
        let mut all_exist = true;
        let mut components = path.components();
        // Start at the deepest ancestor that is cached.
        if let Some((above, known)) =
            path.ancestors().skip(1).find_map(|above| Some((above, self.resolved_directories.get(above.as_os_str())?)))
            && let Ok(rest) = path.strip_prefix(above)
        {
            real.clone_from(known);
            components = rest.components();
        }
        for component in components {
            match component {
                Component::Normal(name) => {
                    let candidate = real.join(name);
                    self.add_dependency(&candidate);
                    match fs_err::symlink_metadata(&candidate) {
                        Ok(metadata) if metadata.file_type().is_symlink() && links.len() < MAX_LINKS => {
                            let target = real.join(fs_err::read_link(&candidate).unwrap_or_default());
                            links.push(candidate);
                            real = self.resolve_directory(&target, links);
                        }
                        found => {
                            all_exist &= found.is_ok();
                            real = candidate;
                        }
                    }
                }
                Component::ParentDir => {
                    real.pop();
                }
                _ => {}
            }
        }
        if all_exist {
            if self.resolved_directories.len() >= MAX_DIRECTORIES {
                self.resolved_directories.clear();
            }
            self.resolved_directories.insert(path.as_os_str().to_owned(), real.clone());
        }
        real
    }

    /// Remembers that an access depends on this path.
    pub(super) fn add_dependency(&mut self, path: &Path) {
        // Beyond the limit every path counts as a dependency, so that the next change of a link invalidates everything.
        if self.dependency_paths.len() < MAX_DEPENDENCY_PATHS {
            self.dependency_paths.insert(hash_path(path));
        }
    }

    /// Returns whether a recorded access depends on this path.
    pub(super) fn is_dependency(&self, path: &Path) -> bool {
        self.dependency_paths.len() >= MAX_DEPENDENCY_PATHS || self.dependency_paths.contains(&hash_path(path))
    }

    /// Forgets the directories that were resolved, so that the links to them are reported again.
    pub(super) fn forget_directories(&mut self) {
        self.resolved_directories.clear();
    }

    /// Clears the cache after a link or directory was changed.
    pub(super) fn clear(&mut self) {
        self.resolved_directories.clear();
        self.dependency_paths.clear();
    }
}

fn hash_path(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.as_os_str().as_bytes().hash(&mut hasher);
    hasher.finish()
}

/// Splits a path into directory and file name, or returns `None` if it ends in `..`, `.` or is the root.
fn split_file_name(path: &Path) -> Option<(&Path, &OsStr)> {
    let bytes = path.as_os_str().as_bytes();
    let end = bytes.iter().rposition(|byte| *byte != b'/')? + 1;
    let start = bytes[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let name = &bytes[start..end];
    if matches!(name, b"." | b"..") {
        return None;
    }
    let directory = if start == 0 { &b"/"[..] } else { &bytes[..start] };
    Some((Path::new(OsStr::from_bytes(directory)), OsStr::from_bytes(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_and_reported() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        fs_err::create_dir_all(root.join("a/b")).unwrap();
        fs_err::write(root.join("a/b/file"), "x").unwrap();
        symlink("a", root.join("link")).unwrap();
        symlink("link/b/file", root.join("end")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let mut resolver = PathResolver::default();
        let found = resolver.resolve(&root.join("end"), true);
        assert_eq!((found.path, found.metadata.is_some()), (root.join("a/b/file"), true));
        assert_eq!(found.links, [root.join("end"), root.join("link")]);
        let found = resolver.resolve(&root.join("end"), false);
        assert_eq!((found.path, found.links.len()), (root.join("end"), 0));
        let found = resolver.resolve(&root.join("link/b/../b/./new"), true);
        assert_eq!((found.path, found.metadata.is_some()), (root.join("a/b/new"), false));
        assert_eq!(resolver.resolve(&root.join("link/b/.."), true).path, root.join("a"));
        assert_eq!(resolver.resolve(&root.join("link/"), false).path, root.join("a"));
        assert_eq!(resolver.resolve(&root.join("none/x/../y"), true).path, root.join("none/y"));
        assert_eq!(resolver.resolve(Path::new("/"), true).path, Path::new("/"));
        assert!(resolver.resolve(&root.join("loop"), true).links.len() >= MAX_LINKS);
        // The paths of links and directories on the way are dependencies.
        for (name, is_dependency) in [("link", true), ("end", true), ("a/b", true), ("none", true), ("other", false)] {
            assert_eq!(resolver.is_dependency(&root.join(name)), is_dependency, "{name}");
        }
        // A path whose target has changed.
        fs_err::remove_file(root.join("link")).unwrap();
        fs_err::create_dir(root.join("link")).unwrap();
        resolver.clear();
        assert_eq!(resolver.resolve(&root.join("link/z"), true).path, root.join("link/z"));
    }
}
