//! Bytecode of wheels, collected from environments and stored once for each wheel and kind of interpreter.

use std::collections::HashSet;

use serde::Serialize;

use crate::fs::{FileLinker, MAX_DOCUMENT_BYTES, Sha256Digest, parallel_map, read_regular_file};

use super::entry::StoreEntry;
use super::entry_id::VersionedKey;
use super::entry_id::{EntryId, EntryKind};
use super::environment_layout::install_path;
use super::environment_scan::ScannedEnvironment;
use super::pyc_format::{pyc_paths, to_unchecked_hash};
use super::save::{SaveError, SaveFailure, SavedEntry};
use super::staging::PublishOutcome;
use super::store_dir::Store;
use super::tree_listing::{TreeNode, TreeNodeKind};

/// Location of the stored bytecode of a wheel, for the Python host program, which links it next to the sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct StoredBytecode {
    /// Directory with the files of the wheel.
    pub(crate) wheel: String,
    /// Directory with the bytecode.
    pub(crate) bytecode: String,
    /// For each module: path of the source in the wheel, path of the source in `site-packages`, SHA-256 of the source, and
    /// paths of its bytecode in `site-packages`, which are also the paths in the bytecode directory.
    pub(crate) modules: Vec<(String, String, String, Vec<String>)>,
}

impl VersionedKey {
    /// Returns the key of the bytecode of a wheel with this tree digest, for interpreters with this tag (`cpython-311`).
    pub fn for_bytecode(tree: &str, tag: &str) -> Self {
        Self::new(EntryKind::Bytecode, &bytecode_key(tree, tag))
    }
}

fn bytecode_key(tree: &str, tag: &str) -> String {
    format!("{tree}.{tag}")
}

impl Store {
    /// Saves new bytecode of the wheels in an environment, for interpreters with this tag.
    pub(crate) fn save_bytecode(
        &self,
        environment: &ScannedEnvironment,
        tag: &str,
    ) -> Vec<Result<SavedEntry, SaveFailure>> {
        let saved = parallel_map(&environment.wheels, |wheel| self.save_wheel_bytecode(environment, wheel, tag));
        saved.into_iter().filter_map(Result::transpose).collect()
    }

    /// Returns the paths of stored bytecode in an environment, relative to its root.
    pub(crate) fn stored_bytecode_paths(&self, environment: &ScannedEnvironment, tag: &str) -> HashSet<String> {
        let site = &environment.contents.site_packages;
        let stored = environment.wheels.iter().filter_map(|wheel| self.open_bytecode_entry(wheel, tag));
        let paths = stored.flat_map(|entry| entry.listing.nodes).map(|node| format!("{site}/{}", node.path));
        paths.filter(|path| environment.contents.files.contains_key(path)).collect()
    }

    /// Returns the stored bytecode of a wheel, or of all wheels built from a source archive, by SHA-256.
    pub(crate) fn stored_bytecode(&self, digest: Sha256Digest, tag: &str) -> Vec<(EntryId, StoredBytecode)> {
        let built = self.entry_ids_with_prefix(EntryKind::BuiltWheel, &format!("{digest}."));
        let wheels = [EntryId::for_wheel(digest)].into_iter().chain(built);
        wheels.filter_map(|wheel| self.wheel_bytecode(&wheel, tag)).collect()
    }

    fn wheel_bytecode(&self, wheel: &EntryId, tag: &str) -> Option<(EntryId, StoredBytecode)> {
        let wheel = self.open_entry(wheel).ok().flatten()?;
        let entry = self.open_bytecode_entry(&wheel, tag)?;
        let stored_paths: HashSet<&str> = entry.listing.nodes.iter().map(|node| node.path.as_str()).collect();
        let modules = wheel_modules(&wheel, tag).filter_map(|module| {
            let existing: Vec<String> =
                module.pyc_paths.into_iter().filter(|path| stored_paths.contains(path.as_str())).collect();
            (!existing.is_empty())
                .then(|| (module.node.path.clone(), module.site_path, module.sha256.to_string(), existing))
        });
        let modules = modules.collect();
        self.mark_used(&entry.id);
        let path_text = |entry: &StoreEntry| entry.tree_path().display().to_string();
        Some((entry.id.clone(), StoredBytecode { wheel: path_text(&wheel), bytecode: path_text(&entry), modules }))
    }

    fn open_bytecode_entry(&self, wheel: &StoreEntry, tag: &str) -> Option<StoreEntry> {
        self.latest_version(EntryKind::Bytecode, &bytecode_key(&wheel.meta.tree_digest, tag))
    }

    /// Saves the bytecode of a wheel that the store does not contain; returns `None` if there is none.
    fn save_wheel_bytecode(
        &self,
        environment: &ScannedEnvironment,
        wheel: &StoreEntry,
        tag: &str,
    ) -> Result<Option<SavedEntry>, SaveFailure> {
        let name = format!("bytecode of {}", wheel.meta.name);
        self.save_new_bytecode(environment, wheel, tag, &name).map_err(|error| error.for_name(name))
    }

    fn save_new_bytecode(
        &self,
        environment: &ScannedEnvironment,
        wheel: &StoreEntry,
        tag: &str,
        name: &str,
    ) -> Result<Option<SavedEntry>, SaveError> {
        let stored = self.open_bytecode_entry(wheel, tag);
        let stored_paths: HashSet<&str> =
            stored.iter().flat_map(|entry| &entry.listing.nodes).map(|node| node.path.as_str()).collect();
        let new = collect_new_bytecode(environment, wheel, tag, &stored_paths);
        if new.is_empty() {
            return Ok(None);
        }
        let key = bytecode_key(&wheel.meta.tree_digest, tag);
        let id = EntryId::new_version(EntryKind::Bytecode, &key).ok_or(SaveError::InvalidId)?;
        let mut staged = self.stage_entry(&id, name)?;
        if let Some(stored) = &stored {
            staged.import_tree(&stored.tree_path(), &FileLinker::new())?;
        }
        for (path, bytes) in new {
            staged.add_file(&path, false, bytes.len() as u64, &mut bytes.as_slice())?;
        }
        let published = staged.publish(None)?;
        drop(stored);
        self.remove_older_versions(EntryKind::Bytecode, &key, &id.to_string());
        Ok(match published {
            PublishOutcome::New(meta) => Some(SavedEntry::new(&id, *meta)),
            PublishOutcome::AlreadyExists => None,
        })
    }
}

/// A module of a wheel that may have bytecode.
struct WheelModule<'a> {
    /// Its source in the tree of the wheel.
    node: &'a TreeNode,
    /// Path of the source in `site-packages`.
    site_path: String,
    sha256: Sha256Digest,
    size: u64,
    /// Possible paths of its bytecode in `site-packages`.
    pyc_paths: [String; 3],
}

fn wheel_modules<'a>(wheel: &'a StoreEntry, tag: &'a str) -> impl Iterator<Item = WheelModule<'a>> {
    wheel.listing.nodes.iter().filter_map(move |node| {
        let TreeNodeKind::File { sha256, size, .. } = node.kind else { return None };
        let site_path = install_path("site", &node.path)?.strip_prefix("site/")?.to_owned();
        let pyc_paths = pyc_paths(&site_path, tag)?;
        Some(WheelModule { node, site_path, sha256, size, pyc_paths })
    })
}

/// Reads bytecode that Python wrote next to the sources of a wheel, and converts it to the stored form.
fn collect_new_bytecode(
    environment: &ScannedEnvironment,
    wheel: &StoreEntry,
    tag: &str,
    stored_paths: &HashSet<&str>,
) -> Vec<(String, Vec<u8>)> {
    let (contents, root) = (&environment.contents, &environment.root);
    let listed: HashSet<&str> = wheel.listing.nodes.iter().map(|node| node.path.as_str()).collect();
    // Bytecode older than the install belongs to a previous source, even if size and time in seconds are the same.
    let dist_info = wheel.listing.nodes.iter().find_map(|node| node.path.strip_suffix(".dist-info/RECORD"));
    let installed_at = dist_info
        .and_then(|name| contents.dist_info_times.get(&format!("{}/{name}.dist-info", contents.site_packages)));
    let Some(installed_at) = installed_at else { return Vec::new() };
    let mut new = Vec::new();
    for module in wheel_modules(wheel, tag) {
        let source_path = format!("{}/{}", contents.site_packages, module.site_path);
        let candidates = module
            .pyc_paths
            .into_iter()
            .filter(|path| !stored_paths.contains(path.as_str()) && !listed.contains(path.as_str()));
        let is_new = |path: &String| {
            contents
                .files
                .get(&format!("{}/{path}", contents.site_packages))
                .is_some_and(|stat| stat.mtime_ns >= *installed_at)
        };
        let candidates: Vec<String> = candidates.filter(is_new).collect();
        let (Some(stat), false) = (contents.files.get(&source_path), candidates.is_empty()) else { continue };
        if environment.matches_wheel_file(module.node, &source_path) != Some(true) {
            continue;
        }
        let modified = stat.mtime_ns.div_euclid(1_000_000_000);
        for path in candidates {
            let bytes = read_regular_file(&root.join(&contents.site_packages).join(&path), MAX_DOCUMENT_BYTES)
                .unwrap_or_default();
            new.extend(to_unchecked_hash(&bytes, modified, module.size).map(|bytes| (path, bytes)));
        }
    }
    new
}
