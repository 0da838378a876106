//! What stands in an environment: its files, and the wheels of the store that they are of.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::fs::{Stamp, in_parallel, sha256_of, walk};
use crate::project::lock::normal;

use super::entry::Entry;
use super::id::{EntryId, Kind};
use super::listing::{Listed, What};
use super::root::Store;

/// What stands in an environment.
#[derive(Debug)]
pub struct Environment {
    /// Its place.
    pub(super) root: PathBuf,
    pub(super) seen: Seen,
    /// The wheels of the store that are in it.
    pub(super) wheels: Vec<Entry>,
}

/// What stands in an environment now.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) files: HashMap<String, Stamp>,
    pub(super) links: BTreeMap<String, String>,
    pub(super) folders: BTreeSet<String>,
    /// Folders that say what is installed, with their times.
    pub(super) dists: BTreeMap<String, i64>,
    pub(super) site: String,
}

impl Store {
    /// Looks what stands in an environment.
    ///
    /// # Errors
    /// Why it cannot be told, in words.
    pub fn look(&self, root: &Path) -> Result<Environment, String> {
        let seen = see(root)?;
        let wheels = self.wheels_in(&seen, root);
        Ok(Environment { root: root.to_path_buf(), seen, wheels })
    }

    /// The wheels of the store that an environment's metadata name and that are the very ones.
    fn wheels_in(&self, seen: &Seen, root: &Path) -> Vec<Entry> {
        let mut known: BTreeMap<String, Vec<EntryId>> = BTreeMap::new();
        let ids: Vec<EntryId> =
            [Kind::Wheel, Kind::Built].into_iter().flat_map(|kind| self.of_kind(kind, "")).collect();
        for (id, head) in ids.iter().zip(in_parallel(&ids, |id| self.head(id).ok())) {
            known.entry(head.map_or_else(String::new, |head| spoken(&head.name, ' '))).or_default().push(id.clone());
        }
        let dists: Vec<&str> = seen.dists.keys().filter_map(|path| path.rsplit('/').next()).collect();
        let found = in_parallel(&dists, |dist| {
            let name = spoken(dist.trim_end_matches(".dist-info"), '-');
            let entries = known.get(&name).into_iter().flatten().filter_map(|id| self.entry(id).ok().flatten());
            // Two wheels of one version are told apart by what they say of themselves.
            let says = [format!("{dist}/METADATA"), format!("{dist}/WHEEL")];
            let mut entries = entries.filter(|entry| {
                says.iter().all(|path| {
                    let item = entry.listing.items.iter().find(|item| item.path == *path);
                    item.is_some_and(|item| is_shared(item, &format!("{}/{path}", seen.site), seen, root) == Some(true))
                })
            });
            entries.next()
        });
        found.into_iter().flatten().collect()
    }
}

impl Environment {
    /// Whether a file of it is the file of a wheel; none where it is the very file, and written to since.
    pub(super) fn is_shared(&self, item: &Listed, place: &str) -> Option<bool> {
        is_shared(item, place, &self.seen, &self.root)
    }
}

/// One spelling of a name and its version: `Foo.bar 1.0` and `foo_bar-1.0`.
fn spoken(text: &str, between: char) -> String {
    let (name, version) = text.split_once(between).unwrap_or((text, ""));
    format!("{} {version}", normal(name))
}

/// What stands in a folder, if it is an environment.
fn see(root: &Path) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let mut filled: HashSet<PathBuf> = HashSet::new();
    for (path, stamp) in walk(root).map_err(|error| error.to_string())? {
        let text = path.to_str().ok_or("a name in it is no text")?.to_owned();
        filled.extend(path.parent().map(Path::to_path_buf));
        if stamp.is_link() {
            let target = std::fs::read_link(root.join(&path)).map_err(|error| error.to_string())?;
            seen.links.insert(text, target.to_str().ok_or("a link in it is no text")?.to_owned());
        } else if stamp.is_file() {
            seen.files.insert(text, stamp);
        } else if !stamp.is_folder() {
            return Err(format!("{text} is no file"));
        } else {
            if text.ends_with("/site-packages") && text.matches('/').count() == 2 {
                seen.site.clone_from(&text);
            }
            let in_site = path.parent().is_some_and(|parent| parent.ends_with("site-packages"));
            if in_site && text.ends_with(".dist-info") {
                seen.dists.insert(text.clone(), stamp.modified);
            }
            seen.folders.insert(text);
        }
    }
    seen.folders.retain(|folder| !filled.contains(Path::new(folder)));
    if seen.site.is_empty() { Err("it has no site-packages".to_owned()) } else { Ok(seen) }
}

/// Whether a file of an environment is the file of a wheel; none where it is the very file, and written to since.
fn is_shared(item: &Listed, place: &str, seen: &Seen, root: &Path) -> Option<bool> {
    let What::File { sha256, size, executable, inode, modified, .. } = item.what else { return Some(false) };
    let Some(stamp) = seen.files.get(place) else { return Some(false) };
    let very = stamp.inode == inode;
    if very && stamp.modified == modified && stamp.size == size {
        return Some(stamp.is_executable() == executable && !stamp.is_special());
    }
    let same = stamp.size == size
        && stamp.is_executable() == executable
        && !stamp.is_special()
        && sha256_of(&root.join(place)).is_ok_and(|(found, _)| found == sha256);
    if same || !very { Some(same) } else { None }
}
