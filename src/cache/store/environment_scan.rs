//! Content of an environment: its files, and the wheels of the store that they belong to.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::fs::{FileStat, parallel_map, sha256_file, walk_tree};
use crate::project::dependencies::normalize_name;

use super::entry::StoreEntry;
use super::entry_id::{EntryId, EntryKind};
use super::save::SaveError;
use super::store_dir::Store;
use super::tree_listing::{TreeNode, TreeNodeKind};

/// An environment and the wheels of the store that are installed in it.
#[derive(Debug)]
pub(crate) struct ScannedEnvironment {
    pub(super) root: PathBuf,
    pub(super) contents: EnvironmentContents,
    pub(super) wheels: Vec<StoreEntry>,
}

/// Files, links and directories of an environment, by path relative to its root.
#[derive(Debug, Default)]
pub(super) struct EnvironmentContents {
    pub(super) files: HashMap<String, FileStat>,
    pub(super) symlinks: BTreeMap<String, String>,
    pub(super) empty_directories: BTreeSet<String>,
    /// `.dist-info` directories with their modification times, in nanoseconds since 1970.
    pub(super) dist_info_times: BTreeMap<String, i64>,
    pub(super) site_packages: String,
}

impl Store {
    /// Lists an environment and finds the wheels of the store in it.
    ///
    /// # Errors
    /// If the directory cannot be read or is not an environment.
    pub(crate) fn scan_environment(&self, root: &Path) -> Result<ScannedEnvironment, SaveError> {
        let contents = read_environment_contents(root)?;
        let wheels = self.find_installed_wheels(&contents, root);
        Ok(ScannedEnvironment { root: root.to_path_buf(), contents, wheels })
    }

    /// Finds the wheels of the store that the `.dist-info` directories name and whose metadata are identical.
    fn find_installed_wheels(&self, contents: &EnvironmentContents, root: &Path) -> Vec<StoreEntry> {
        let mut ids_by_name: BTreeMap<String, Vec<EntryId>> = BTreeMap::new();
        let ids: Vec<EntryId> = [EntryKind::Wheel, EntryKind::BuiltWheel]
            .into_iter()
            .flat_map(|kind| self.entry_ids_with_prefix(kind, ""))
            .collect();
        for (id, meta) in ids.iter().zip(parallel_map(&ids, |id| self.entry_meta(id).ok())) {
            ids_by_name
                .entry(meta.map_or_else(String::new, |meta| normalized_name_version(&meta.name, ' ')))
                .or_default()
                .push(id.clone());
        }
        let dist_infos: Vec<&str> =
            contents.dist_info_times.keys().filter_map(|path| path.rsplit('/').next()).collect();
        let found = parallel_map(&dist_infos, |dist_info| {
            let name = normalized_name_version(dist_info.trim_end_matches(".dist-info"), '-');
            let ids = ids_by_name.get(&name).into_iter().flatten();
            let mut entries = ids.filter_map(|id| self.open_entry(id).ok().flatten());
            // Several wheels of one version differ in their metadata.
            let metadata = [format!("{dist_info}/METADATA"), format!("{dist_info}/WHEEL")];
            entries.find(|entry| {
                metadata.iter().all(|path| {
                    let node = entry.listing.nodes.iter().find(|node| node.path == *path);
                    let installed = format!("{}/{path}", contents.site_packages);
                    node.is_some_and(|node| file_matches_wheel(node, &installed, contents, root) == Some(true))
                })
            })
        });
        found.into_iter().flatten().collect()
    }
}

impl ScannedEnvironment {
    /// Returns whether the file at `path` equals a file of a wheel; `None` if it is the same inode and was modified.
    pub(super) fn matches_wheel_file(&self, node: &TreeNode, path: &str) -> Option<bool> {
        file_matches_wheel(node, path, &self.contents, &self.root)
    }
}

/// Normalizes a name and version, so that `Foo.bar 1.0` and `foo_bar-1.0` compare equal.
fn normalized_name_version(text: &str, separator: char) -> String {
    let (name, version) = text.split_once(separator).unwrap_or((text, ""));
    format!("{} {version}", normalize_name(name))
}

/// Files and directories at the top of an environment that installers create.
const ENVIRONMENT_ENTRIES: [&str; 12] = [
    "bin",
    "lib",
    "lib64",
    "include",
    "share",
    "etc",
    "man",
    "src",
    "pyvenv.cfg",
    ".gitignore",
    ".lock",
    "CACHEDIR.TAG",
];

/// Whether a path in an environment belongs to it. What else a session writes there may contain its secrets, such as a
/// home directory or what it writes to `session.create_tmp()`, and pull requests read the environments of their base.
fn is_part_of_environment(path: &Path, is_conda: bool) -> bool {
    let first = path.components().next().map(|first| first.as_os_str().to_string_lossy().into_owned());
    let first = first.unwrap_or_default();
    let is_known = ENVIRONMENT_ENTRIES.contains(&first.as_str()) || first.starts_with(".noxide-");
    is_known || (is_conda && first != "tmp" && !first.starts_with('.'))
}

fn read_environment_contents(root: &Path) -> Result<EnvironmentContents, SaveError> {
    let not_utf8 = |path: &Path| SaveError::NotUtf8(path.display().to_string());
    let mut contents = EnvironmentContents::default();
    let mut non_empty: HashSet<PathBuf> = HashSet::new();
    let is_conda = root.join("conda-meta").is_dir();
    for (path, stat) in walk_tree(root)? {
        if !is_part_of_environment(&path, is_conda) {
            continue;
        }
        let text = path.to_str().ok_or_else(|| not_utf8(&path))?.to_owned();
        non_empty.extend(path.parent().map(Path::to_path_buf));
        if stat.is_symlink() {
            let target = std::fs::read_link(root.join(&path))?;
            contents.symlinks.insert(text, target.to_str().ok_or_else(|| not_utf8(&target))?.to_owned());
        } else if stat.is_file() {
            contents.files.insert(text, stat);
        } else if !stat.is_dir() {
            return Err(SaveError::NotAFile(text));
        } else {
            if text.ends_with("/site-packages") && text.matches('/').count() == 2 {
                contents.site_packages.clone_from(&text);
            }
            let in_site_packages = path.parent().is_some_and(|parent| parent.ends_with("site-packages"));
            if in_site_packages && text.ends_with(".dist-info") {
                contents.dist_info_times.insert(text.clone(), stat.mtime_ns);
            }
            contents.empty_directories.insert(text);
        }
    }
    contents.empty_directories.retain(|directory| !non_empty.contains(Path::new(directory)));
    if contents.site_packages.is_empty() { Err(SaveError::NoSitePackages) } else { Ok(contents) }
}

/// Returns whether the file at `path` equals a file of a wheel; `None` if it is the same inode and was modified.
fn file_matches_wheel(node: &TreeNode, path: &str, contents: &EnvironmentContents, root: &Path) -> Option<bool> {
    let TreeNodeKind::File { sha256, size, executable, inode, modified, .. } = node.kind else { return Some(false) };
    let Some(stat) = contents.files.get(path) else { return Some(false) };
    let is_same_inode = stat.inode == inode;
    if is_same_inode && stat.mtime_ns == modified && stat.size == size {
        return Some(stat.is_executable() == executable && !stat.has_special_bits());
    }
    let is_equal = stat.size == size
        && stat.is_executable() == executable
        && !stat.has_special_bits()
        && sha256_file(&root.join(path)).is_ok_and(|(digest, _)| digest == sha256);
    if is_equal || !is_same_inode { Some(is_equal) } else { None }
}
