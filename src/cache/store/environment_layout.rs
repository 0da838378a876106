//! Layout of an environment: the wheels installed in it, its links, and its own files.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cache::limited_items::{limited_list, limited_map, limited_set};
use crate::cache::options::StoreOptions;
use crate::fs::{is_symlink_contained, read_regular_file, safe_relative_path};

use super::damage::Damage;
use super::entry::StoreEntry;
use super::tree_listing::{TreeListing, TreeNode, TreeNodeKind};

/// Version of `.noxide-environment.json`.
const LAYOUT_VERSION: u32 = 2;
/// Maximum size of a layout in bytes: enough for the paths of 100,000 files.
const MAX_LAYOUT_BYTES: u64 = 16 << 20;
/// Maximum number of wheels in an environment.
const MAX_WHEELS: usize = 10_000;
/// Maximum number of paths of each kind in a layout.
const MAX_PATHS: usize = 250_000;

/// The parts of an environment, stored next to its own files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EnvironmentLayout {
    version: u32,
    /// Path of the environment; the layout is valid for no other.
    pub(super) path: String,
    /// The interpreter of the environment, the only target outside it that a link may have.
    pub(super) python: String,
    /// `site-packages`, relative to the root.
    pub(super) site_packages: String,
    /// Installed wheels, each once.
    #[serde(deserialize_with = "limited_list::<_, _, MAX_WHEELS>")]
    pub(super) wheels: Vec<EnvironmentWheel>,
    /// Targets of symbolic links, by path.
    #[serde(deserialize_with = "limited_map::<_, _, MAX_PATHS>")]
    pub(super) links: BTreeMap<String, String>,
    /// Empty directories.
    #[serde(deserialize_with = "limited_set::<_, MAX_PATHS>")]
    pub(super) empty_directories: BTreeSet<String>,
    /// Modification times of its own files and of `.dist-info` directories, in nanoseconds since 1970.
    #[serde(deserialize_with = "limited_map::<_, _, MAX_PATHS>")]
    pub(super) modified_times: BTreeMap<String, i64>,
}

/// A wheel installed in an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EnvironmentWheel {
    /// The entry ID as text.
    pub(super) entry: String,
    /// Paths of its files that are absent, or are the environment's own.
    #[serde(deserialize_with = "limited_set::<_, MAX_PATHS>")]
    pub(super) excluded: BTreeSet<String>,
}

/// A path in an environment and its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EnvironmentNode<'a> {
    pub(super) path: String,
    pub(super) source: EnvironmentNodeSource<'a>,
}

/// Source of a path in an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EnvironmentNodeSource<'a> {
    /// A file of the environment's own entry.
    OwnFile(&'a TreeNode),
    /// A file of the wheel with this index.
    WheelFile(usize, &'a TreeNode),
    /// A symbolic link with this target.
    Symlink(&'a str),
    /// An empty directory.
    EmptyDirectory,
}

impl EnvironmentLayout {
    /// Name of the layout file in the environment's entry.
    pub(super) const FILE_NAME: &str = ".noxide-environment.json";

    /// Creates an empty layout.
    pub(super) fn new(path: &Path, python: &Path, site: &str) -> Self {
        Self {
            version: LAYOUT_VERSION,
            path: path.display().to_string(),
            python: python.display().to_string(),
            site_packages: site.to_owned(),
            wheels: Vec::new(),
            links: BTreeMap::new(),
            empty_directories: BTreeSet::new(),
            modified_times: BTreeMap::new(),
        }
    }

    /// Reads the layout of an environment's entry. Paths are checked by [`EnvironmentLayout::resolve_nodes`].
    pub(super) fn from_entry(entry: &StoreEntry) -> Result<Self, Damage> {
        Self::parse(&read_regular_file(&entry.tree_path().join(Self::FILE_NAME), MAX_LAYOUT_BYTES)?)
    }

    fn parse(text: &[u8]) -> Result<Self, Damage> {
        let layout: Self = serde_json::from_slice(text).map_err(|error| Damage::InvalidMeta(error.to_string()))?;
        if layout.version != LAYOUT_VERSION {
            return Err(Damage::InvalidMeta(format!(
                "layout version {}, but this noxide uses version {LAYOUT_VERSION}",
                layout.version
            )));
        }
        layout.check_limits()?;
        Ok(layout)
    }

    /// Serializes the layout.
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Checks the limits that a reader has: numbers of wheels and paths, and that no wheel is listed twice.
    pub(super) fn check_limits(&self) -> Result<(), Damage> {
        let entries: HashSet<&str> = self.wheels.iter().map(|wheel| wheel.entry.as_str()).collect();
        if entries.len() < self.wheels.len() {
            return Err(Damage::InvalidMeta("a wheel is listed twice".to_owned()));
        }
        let excluded: usize = self.wheels.iter().map(|wheel| wheel.excluded.len()).sum();
        let counts = [excluded, self.links.len(), self.empty_directories.len(), self.modified_times.len()];
        if self.wheels.len() > MAX_WHEELS {
            return Err(Damage::TooLarge { limit: MAX_WHEELS as u64, unit: "wheels" });
        }
        if counts.into_iter().any(|count| count > MAX_PATHS) {
            return Err(Damage::TooLarge { limit: MAX_PATHS as u64, unit: "paths" });
        }
        Ok(())
    }

    /// Serializes the layout for its entry.
    pub(super) fn to_entry_file(&self) -> Result<Vec<u8>, Damage> {
        let text = self.to_json();
        match text.len() as u64 {
            0..=MAX_LAYOUT_BYTES => Ok(text),
            _ => Err(Damage::TooLarge { limit: MAX_LAYOUT_BYTES, unit: "bytes" }),
        }
    }

    /// Returns everything in the environment, sorted by path. Each path is unique, inside the environment, and not below a
    /// link.
    pub(super) fn resolve_nodes<'a>(
        &'a self,
        own_files: &'a TreeListing,
        wheels: &'a [StoreEntry],
    ) -> Result<Vec<EnvironmentNode<'a>>, Damage> {
        let mut nodes: Vec<EnvironmentNode<'_>> = Vec::new();
        check_file_count(own_files, wheels)?;
        for node in own_files.nodes.iter().filter(|node| node.path != Self::FILE_NAME) {
            let source = match node.kind {
                TreeNodeKind::File { .. } => EnvironmentNodeSource::OwnFile(node),
                TreeNodeKind::EmptyDirectory => EnvironmentNodeSource::EmptyDirectory,
                TreeNodeKind::Symlink { .. } => return Err(Damage::FileTypeMismatch),
            };
            nodes.push(EnvironmentNode { path: node.path.clone(), source });
        }
        for (wheel_index, (wheel, wheel_layout)) in wheels.iter().zip(&self.wheels).enumerate() {
            let files =
                wheel.listing.files().filter_map(|node| Some((install_path(&self.site_packages, &node.path)?, node)));
            let installed = files.filter(|(path, _)| !wheel_layout.excluded.contains(path));
            nodes.extend(installed.map(|(path, node)| EnvironmentNode {
                path,
                source: EnvironmentNodeSource::WheelFile(wheel_index, node),
            }));
        }
        nodes.extend(self.empty_directories.iter().map(|directory| EnvironmentNode {
            path: directory.clone(),
            source: EnvironmentNodeSource::EmptyDirectory,
        }));
        for (path, target) in &self.links {
            let (path, target_path) = (Path::new(path), Path::new(target));
            // A link to the interpreter may use another path to it.
            let is_python = || {
                target_path.is_absolute()
                    && std::fs::canonicalize(target_path).is_ok_and(|real| real == Path::new(&self.python))
            };
            if !is_symlink_contained(path, target_path) && !is_python() {
                return Err(Damage::EscapingSymlink(target.clone()));
            }
            nodes.push(EnvironmentNode {
                path: path.display().to_string(),
                source: EnvironmentNodeSource::Symlink(target),
            });
        }
        nodes.sort_by(|a, b| a.path.cmp(&b.path));
        self.check_paths(&nodes)?;
        Ok(nodes)
    }

    fn check_paths(&self, nodes: &[EnvironmentNode<'_>]) -> Result<(), Damage> {
        let directories = self.modified_times.keys().chain([&self.site_packages]);
        if directories.into_iter().any(|path| safe_relative_path(path).is_none()) {
            return Err(Damage::InvalidPath);
        }
        let links: HashSet<&Path> = self.links.keys().map(Path::new).collect();
        for pair in nodes.windows(2) {
            let directories = pair.iter().all(|node| node.source == EnvironmentNodeSource::EmptyDirectory);
            if pair[0].path == pair[1].path && !directories {
                return Err(Damage::DuplicatePath);
            }
        }
        for node in nodes {
            let inner = safe_relative_path(&node.path).ok_or(Damage::InvalidPath)?;
            if inner.ancestors().skip(1).any(|parent| links.contains(parent)) {
                return Err(Damage::InvalidPath);
            }
        }
        let below_link = |path: &String| Path::new(path).ancestors().any(|parent| links.contains(parent));
        if self.modified_times.keys().any(below_link) { Err(Damage::InvalidPath) } else { Ok(()) }
    }
}

/// Checks that an environment has no more files than an entry may have, before they are collected.
fn check_file_count(own_files: &TreeListing, wheels: &[StoreEntry]) -> Result<(), Damage> {
    let limit = StoreOptions::MAX_ENTRY_FILES;
    let count = wheels.iter().map(|wheel| wheel.listing.nodes.len()).sum::<usize>() + own_files.nodes.len();
    if count > limit { Err(Damage::TooLarge { limit: limit as u64, unit: "files" }) } else { Ok(()) }
}

/// Returns where an installer places a file of a wheel, relative to the environment; `None` if that is unknown.
pub(super) fn install_path(site: &str, path: &str) -> Option<String> {
    let (top, rest) = path.split_once('/').unwrap_or((path, ""));
    if !top.ends_with(".data") {
        return Some(format!("{site}/{path}"));
    }
    match rest.split_once('/')? {
        ("scripts", name) => Some(format!("bin/{name}")),
        ("purelib" | "platlib", name) => Some(format!("{site}/{name}")),
        ("data", name) => Some(name.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Sha256Digest;

    fn file(path: &str) -> TreeNode {
        let sha256 = Sha256Digest::hash_bytes(b"");
        let kind = TreeNodeKind::File { sha256, size: 0, executable: false, inode: 0, modified: 0, changed: 0 };
        TreeNode { path: path.to_owned(), kind }
    }

    fn layout() -> EnvironmentLayout {
        let mut layout = EnvironmentLayout::new(Path::new("/p/.nox/lint"), Path::new("/usr"), "lib/python3.11/site");
        layout.links.insert("bin/python".to_owned(), "/usr/../usr".to_owned());
        layout.links.insert("lib64".to_owned(), "lib".to_owned());
        layout
    }

    #[test]
    fn files_of_wheels_have_the_paths_that_installers_use() {
        let installed = |path: &str| install_path("lib/site", path);
        assert_eq!(installed("a/b.py").as_deref(), Some("lib/site/a/b.py"));
        assert_eq!(installed("one.py").as_deref(), Some("lib/site/one.py"));
        assert_eq!(installed("ruff-1.data/scripts/ruff").as_deref(), Some("bin/ruff"));
        assert_eq!(installed("a-1.data/purelib/a.py").as_deref(), Some("lib/site/a.py"));
        assert_eq!(installed("a-1.data/data/share/a.1").as_deref(), Some("share/a.1"));
        assert_eq!((installed("a-1.data/headers/a.h"), installed("a-1.data/scripts")), (None, None));
    }

    #[test]
    fn a_layout_names_each_wheel_once_and_has_limits() {
        let wheel =
            |number: usize| EnvironmentWheel { entry: format!("wheel/{number:064}"), excluded: BTreeSet::new() };
        let parse = |change: &dyn Fn(&mut EnvironmentLayout)| {
            let mut layout = layout();
            change(&mut layout);
            EnvironmentLayout::parse(&layout.to_json()).map(|parsed| parsed == layout)
        };
        assert_eq!(parse(&|layout| layout.wheels = vec![wheel(1), wheel(2)]), Ok(true));
        let twice = Damage::InvalidMeta("a wheel is listed twice".to_owned());
        assert_eq!(parse(&|layout| layout.wheels = vec![wheel(1), wheel(2), wheel(1)]), Err(twice));
        let paths = |count: usize| (0..count).map(|number| number.to_string());
        let is_refused =
            |change: &dyn Fn(&mut EnvironmentLayout)| parse(change).unwrap_err().to_string().contains("more than ");
        assert!(is_refused(&|layout| layout.wheels = (0..=MAX_WHEELS).map(wheel).collect()));
        assert!(is_refused(&|layout| layout.empty_directories = paths(MAX_PATHS + 1).collect()));
        assert!(is_refused(&|layout| layout.links = paths(MAX_PATHS + 1).map(|path| (path, String::new())).collect()));
        assert!(is_refused(&|layout| layout.modified_times = paths(MAX_PATHS + 1).map(|path| (path, 0)).collect()));
        // Each within its limit, but not together.
        assert!(is_refused(&|layout| {
            layout.wheels = vec![wheel(1), wheel(2)];
            layout.wheels.iter_mut().for_each(|wheel| wheel.excluded = paths(MAX_PATHS / 2 + 1).collect());
        }));
    }

    #[test]
    fn paths_and_links_out_of_the_environment_are_refused() {
        let own_files = TreeListing::new(vec![file("pyvenv.cfg"), file(EnvironmentLayout::FILE_NAME)]);
        let good = layout();
        let paths: Vec<String> =
            good.resolve_nodes(&own_files, &[]).unwrap().into_iter().map(|nodes| nodes.path).collect();
        assert_eq!(paths, ["bin/python", "lib64", "pyvenv.cfg"]);
        let resolve_error = |change: &dyn Fn(&mut EnvironmentLayout)| {
            let mut layout = layout();
            change(&mut layout);
            layout.resolve_nodes(&own_files, &[]).unwrap_err()
        };
        let link = |path: &str, target: &str| {
            let (path, target) = (path.to_owned(), target.to_owned());
            resolve_error(&move |layout| drop(layout.links.insert(path.clone(), target.clone())))
        };
        assert_eq!(link("bin/sh", "/bin/sh"), Damage::EscapingSymlink("/bin/sh".to_owned()));
        assert_eq!(link("bin/sh", "../../sh"), Damage::EscapingSymlink("../../sh".to_owned()));
        assert_eq!(link("../sh", "/usr"), Damage::InvalidPath);
        assert_eq!(link("pyvenv.cfg", "lib"), Damage::DuplicatePath);
        assert_eq!(
            resolve_error(&|layout| {
                layout.empty_directories.insert("lib64/x".to_owned());
            }),
            Damage::InvalidPath
        );
        assert_eq!(
            resolve_error(&|layout| {
                layout.empty_directories.insert("/x".to_owned());
            }),
            Damage::InvalidPath
        );
        assert_eq!(
            resolve_error(&|layout| {
                layout.modified_times.insert("../x".to_owned(), 1);
            }),
            Damage::InvalidPath
        );
        assert_eq!(
            resolve_error(&|layout| {
                layout.modified_times.insert("lib64/x".to_owned(), 1);
            }),
            Damage::InvalidPath
        );
        assert_eq!(resolve_error(&|layout| layout.site_packages = "..".to_owned()), Damage::InvalidPath);
        let link = TreeListing::new(vec![TreeNode {
            path: "a".to_owned(),
            kind: TreeNodeKind::Symlink { target: "b".to_owned() },
        }]);
        assert_eq!(good.resolve_nodes(&link, &[]).unwrap_err(), Damage::FileTypeMismatch);
        let below = TreeListing::new(vec![file("lib64/a.py")]);
        assert_eq!(good.resolve_nodes(&below, &[]).unwrap_err(), Damage::InvalidPath);
    }
}
