//! Paths as the kernel finds them: links resolved, each folder once.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// How many links one path may lead through, as in Linux.
const MAX_LINKS: usize = 40;

/// How many folders are remembered.
const MAX_FOLDERS: usize = 50_000;

/// How many names are remembered: some 16 MB.
const MAX_REMEMBERED_NAMES: usize = 1_000_000;

/// A path that was found, or not.
#[derive(Debug)]
pub(super) struct ResolvedPath {
    /// The path without links, as far as it exists.
    pub(super) path: PathBuf,
    /// What is there; none where nothing is.
    pub(super) metadata: Option<Metadata>,
    /// Links that led there: whoever changes one of them changes what is meant.
    pub(super) links: Vec<PathBuf>,
}

/// Folders whose real place is known.
#[derive(Debug, Default)]
pub(super) struct PathResolver {
    /// By their text: hashing a path's parts takes as long as looking one up.
    resolved_folders: HashMap<OsString, PathBuf>,
    /// Digests of all names that what is remembered leads through: a link in the place of one changes what is meant.
    remembered_names: HashSet<u64>,
}

impl PathResolver {
    /// Finds an absolute path; a link at its end is followed where `follow` says so.
    pub(super) fn resolve(&mut self, path: &Path, follow: bool) -> ResolvedPath {
        let mut links = Vec::new();
        let mut path = path.to_path_buf();
        // A slash at the end means what a link there points to.
        let follow = follow || path.as_os_str().as_bytes().ends_with(b"/");
        loop {
            let Some((folder, name)) = split_file_name(&path) else {
                let path = self.resolve_folder(&path, &mut links);
                let facts = fs_err::symlink_metadata(&path).ok();
                return ResolvedPath { path, metadata: facts, links };
            };
            let place = self.resolve_folder(folder, &mut links).join(name);
            let facts = fs_err::symlink_metadata(&place).ok();
            let is_link = facts.as_ref().is_some_and(|facts| facts.file_type().is_symlink());
            if !is_link || !follow || links.len() >= MAX_LINKS {
                return ResolvedPath { path: place, metadata: facts, links };
            }
            let target = fs_err::read_link(&place).unwrap_or_default();
            path = place.parent().unwrap_or(Path::new("/")).join(target);
            self.remember_name(&place);
            links.push(place);
        }
    }

    /// The real place of a folder; what does not exist is kept as it is written.
    fn resolve_folder(&mut self, path: &Path, links: &mut Vec<PathBuf>) -> PathBuf {
        if let Some(known) = self.resolved_folders.get(path.as_os_str()) {
            return known.clone();
        }
        let mut real = PathBuf::from("/");
        let mut sure = true;
        let mut components = path.components();
        // Begin at the deepest folder above that is known.
        if let Some((above, known)) =
            path.ancestors().skip(1).find_map(|above| Some((above, self.resolved_folders.get(above.as_os_str())?)))
            && let Ok(rest) = path.strip_prefix(above)
        {
            real.clone_from(known);
            components = rest.components();
        }
        for component in components {
            match component {
                Component::Normal(name) => {
                    let place = real.join(name);
                    self.remember_name(&place);
                    match fs_err::symlink_metadata(&place) {
                        Ok(facts) if facts.file_type().is_symlink() && links.len() < MAX_LINKS => {
                            let target = real.join(fs_err::read_link(&place).unwrap_or_default());
                            links.push(place);
                            real = self.resolve_folder(&target, links);
                        }
                        found => {
                            sure &= found.is_ok();
                            real = place;
                        }
                    }
                }
                Component::ParentDir => {
                    real.pop();
                }
                _ => {}
            }
        }
        if sure {
            if self.resolved_folders.len() >= MAX_FOLDERS {
                self.resolved_folders.clear();
            }
            self.resolved_folders.insert(path.as_os_str().to_owned(), real.clone());
        }
        real
    }

    /// Remembers that somebody keeps what was found by this name.
    pub(super) fn remember_name(&mut self, place: &Path) {
        // Beyond that many, every name counts as passed: the next link has all forgotten.
        if self.remembered_names.len() < MAX_REMEMBERED_NAMES {
            self.remembered_names.insert(hash_path(place));
        }
    }

    /// Whether something that is kept was found by this name.
    pub(super) fn is_remembered(&self, place: &Path) -> bool {
        self.remembered_names.len() >= MAX_REMEMBERED_NAMES || self.remembered_names.contains(&hash_path(place))
    }

    /// Forgets all: a link or a folder got another place.
    pub(super) fn clear(&mut self) {
        self.resolved_folders.clear();
        self.remembered_names.clear();
    }
}

fn hash_path(place: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    place.as_os_str().as_bytes().hash(&mut hasher);
    hasher.finish()
}

/// The folder of a path and the name in it; none where the end is no name (`..`, `.` or the root).
fn split_file_name(path: &Path) -> Option<(&Path, &OsStr)> {
    let bytes = path.as_os_str().as_bytes();
    let end = bytes.iter().rposition(|byte| *byte != b'/')? + 1;
    let start = bytes[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let name = &bytes[start..end];
    if matches!(name, b"." | b"..") {
        return None;
    }
    let folder = if start == 0 { &b"/"[..] } else { &bytes[..start] };
    Some((Path::new(OsStr::from_bytes(folder)), OsStr::from_bytes(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs_err::create_dir_all(root.join("a/b")).unwrap();
        fs_err::write(root.join("a/b/file"), "x").unwrap();
        symlink("a", root.join("link")).unwrap();
        symlink("link/b/file", root.join("end")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let mut places = PathResolver::default();
        let found = places.resolve(&root.join("end"), true);
        assert_eq!((found.path, found.metadata.is_some()), (root.join("a/b/file"), true));
        assert_eq!(found.links, [root.join("end"), root.join("link")]);
        let found = places.resolve(&root.join("end"), false);
        assert_eq!((found.path, found.links.len()), (root.join("end"), 0));
        let found = places.resolve(&root.join("link/b/../b/./new"), true);
        assert_eq!((found.path, found.metadata.is_some()), (root.join("a/b/new"), false));
        assert_eq!(places.resolve(&root.join("link/b/.."), true).path, root.join("a"));
        assert_eq!(places.resolve(&root.join("link/"), false).path, root.join("a"));
        assert_eq!(places.resolve(&root.join("none/x/../y"), true).path, root.join("none/y"));
        assert_eq!(places.resolve(Path::new("/"), true).path, Path::new("/"));
        assert!(places.resolve(&root.join("loop"), true).links.len() >= MAX_LINKS);
        // What no path led through says nothing; what one led through, or ended at, does.
        for (name, passed) in [("link", true), ("end", true), ("a/b", true), ("none", true), ("other", false)] {
            assert_eq!(places.is_remembered(&root.join(name)), passed, "{name}");
        }
        // Another place for the same name.
        fs_err::remove_file(root.join("link")).unwrap();
        fs_err::create_dir(root.join("link")).unwrap();
        places.clear();
        assert_eq!(places.resolve(&root.join("link/z"), true).path, root.join("link/z"));
    }
}
