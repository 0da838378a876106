//! What stands in an environment: its files, and the wheels of the store that they are of.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::fs::{FileStat, parallel_map, sha256_file, walk_tree};
use crate::project::lock::normalize_name;

use super::entry::StoreEntry;
use super::entry_id::{EntryId, EntryKind};
use super::store_dir::Store;
use super::tree_manifest::{TreeNode, TreeNodeKind};

/// What stands in an environment.
#[derive(Debug)]
pub(crate) struct ScannedVenv {
    /// Its place.
    pub(super) root: PathBuf,
    pub(super) contents: VenvContents,
    /// The wheels of the store that are in it.
    pub(super) wheels: Vec<StoreEntry>,
}

/// What stands in an environment now.
#[derive(Debug, Default)]
pub(super) struct VenvContents {
    pub(super) files: HashMap<String, FileStat>,
    pub(super) symlinks: BTreeMap<String, String>,
    pub(super) empty_folders: BTreeSet<String>,
    /// Folders that say what is installed, with their times.
    pub(super) dist_info_times: BTreeMap<String, i64>,
    pub(super) site_packages: String,
}

impl Store {
    /// Looks what stands in an environment.
    ///
    /// # Errors
    /// Why it cannot be told, in words.
    pub(crate) fn scan_venv(&self, root: &Path) -> Result<ScannedVenv, String> {
        let seen = read_venv_contents(root)?;
        let wheels = self.find_installed_wheels(&seen, root);
        Ok(ScannedVenv { root: root.to_path_buf(), contents: seen, wheels })
    }

    /// The wheels of the store that an environment's metadata name and that are the very ones.
    fn find_installed_wheels(&self, seen: &VenvContents, root: &Path) -> Vec<StoreEntry> {
        let mut known: BTreeMap<String, Vec<EntryId>> = BTreeMap::new();
        let ids: Vec<EntryId> = [EntryKind::Wheel, EntryKind::BuiltWheel]
            .into_iter()
            .flat_map(|kind| self.entry_ids_with_prefix(kind, ""))
            .collect();
        for (id, head) in ids.iter().zip(parallel_map(&ids, |id| self.entry_meta(id).ok())) {
            known
                .entry(head.map_or_else(String::new, |head| normalized_name_version(&head.name, ' ')))
                .or_default()
                .push(id.clone());
        }
        let dists: Vec<&str> = seen.dist_info_times.keys().filter_map(|path| path.rsplit('/').next()).collect();
        let found = parallel_map(&dists, |dist| {
            let name = normalized_name_version(dist.trim_end_matches(".dist-info"), '-');
            let entries = known.get(&name).into_iter().flatten().filter_map(|id| self.open_entry(id).ok().flatten());
            // Two wheels of one version are told apart by what they say of themselves.
            let says = [format!("{dist}/METADATA"), format!("{dist}/WHEEL")];
            let mut entries = entries.filter(|entry| {
                says.iter().all(|path| {
                    let item = entry.manifest.nodes.iter().find(|item| item.path == *path);
                    item.is_some_and(|item| {
                        file_matches_wheel(item, &format!("{}/{path}", seen.site_packages), seen, root) == Some(true)
                    })
                })
            });
            entries.next()
        });
        found.into_iter().flatten().collect()
    }
}

impl ScannedVenv {
    /// Whether a file of it is the file of a wheel; none where it is the very file, and written to since.
    pub(super) fn matches_wheel_file(&self, item: &TreeNode, place: &str) -> Option<bool> {
        file_matches_wheel(item, place, &self.contents, &self.root)
    }
}

/// One spelling of a name and its version: `Foo.bar 1.0` and `foo_bar-1.0`.
fn normalized_name_version(text: &str, between: char) -> String {
    let (name, version) = text.split_once(between).unwrap_or((text, ""));
    format!("{} {version}", normalize_name(name))
}

/// What stands in a folder, if it is an environment.
fn read_venv_contents(root: &Path) -> Result<VenvContents, String> {
    let mut seen = VenvContents::default();
    let mut filled: HashSet<PathBuf> = HashSet::new();
    for (path, stamp) in walk_tree(root).map_err(|error| error.to_string())? {
        let text = path.to_str().ok_or("a name in it is no text")?.to_owned();
        filled.extend(path.parent().map(Path::to_path_buf));
        if stamp.is_symlink() {
            let target = std::fs::read_link(root.join(&path)).map_err(|error| error.to_string())?;
            seen.symlinks.insert(text, target.to_str().ok_or("a link in it is no text")?.to_owned());
        } else if stamp.is_file() {
            seen.files.insert(text, stamp);
        } else if !stamp.is_dir() {
            return Err(format!("{text} is no file"));
        } else {
            if text.ends_with("/site-packages") && text.matches('/').count() == 2 {
                seen.site_packages.clone_from(&text);
            }
            let in_site = path.parent().is_some_and(|parent| parent.ends_with("site-packages"));
            if in_site && text.ends_with(".dist-info") {
                seen.dist_info_times.insert(text.clone(), stamp.mtime_ns);
            }
            seen.empty_folders.insert(text);
        }
    }
    seen.empty_folders.retain(|folder| !filled.contains(Path::new(folder)));
    if seen.site_packages.is_empty() { Err("it has no site-packages".to_owned()) } else { Ok(seen) }
}

/// Whether a file of an environment is the file of a wheel; none where it is the very file, and written to since.
fn file_matches_wheel(item: &TreeNode, place: &str, seen: &VenvContents, root: &Path) -> Option<bool> {
    let TreeNodeKind::File { sha256, size, executable, inode, modified, .. } = item.kind else { return Some(false) };
    let Some(stamp) = seen.files.get(place) else { return Some(false) };
    let very = stamp.inode == inode;
    if very && stamp.mtime_ns == modified && stamp.size == size {
        return Some(stamp.is_executable() == executable && !stamp.has_special_bits());
    }
    let same = stamp.size == size
        && stamp.is_executable() == executable
        && !stamp.has_special_bits()
        && sha256_file(&root.join(place)).is_ok_and(|(found, _)| found == sha256);
    if same || !very { Some(same) } else { None }
}
