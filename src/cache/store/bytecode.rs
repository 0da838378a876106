//! Bytecode of wheels' modules, as environments came to have it: kept once for each wheel and kind of interpreter.

use std::collections::HashSet;

use serde::Serialize;

use crate::fs::{FileLinker, Sha256Digest, parallel_map};

use super::entry::StoreEntry;
use super::entry_id::VersionedKey;
use super::entry_id::{EntryId, EntryKind};
use super::pyc_format::{pyc_paths, to_unchecked_hash};
use super::save::{SaveFailure, SavedEntry};
use super::staging::PublishOutcome;
use super::store_dir::Store;
use super::tree_manifest::{TreeNode, TreeNodeKind};
use super::venv_layout::install_path;
use super::venv_scan::ScannedVenv;

/// Where the bytecode of a wheel lies, for whoever puts it beside sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct StoredBytecode {
    /// The wheel's own files.
    pub(crate) wheel: String,
    /// The bytecode.
    pub(crate) bytecode: String,
    /// Each module: its source's place in the wheel, and in an environment's `site-packages`; the SHA-256 of its source;
    /// the places of its bytecode, in the tree of bytecode as in `site-packages`.
    pub(crate) modules: Vec<(String, String, String, Vec<String>)>,
}

impl VersionedKey {
    /// The bytecode of a wheel whose tree has this digest, for interpreters of this tag (`cpython-311`).
    pub fn for_bytecode(tree: &str, tag: &str) -> Self {
        Self::new(EntryKind::Bytecode, &bytecode_key(tree, tag))
    }
}

fn bytecode_key(tree: &str, tag: &str) -> String {
    format!("{tree}.{tag}")
}

impl Store {
    /// Keeps the bytecode of an environment's wheels that is not yet kept, for interpreters of this tag.
    pub(crate) fn save_bytecode(&self, environment: &ScannedVenv, tag: &str) -> Vec<Result<SavedEntry, SaveFailure>> {
        let saved = parallel_map(&environment.wheels, |wheel| self.save_wheel_bytecode(environment, wheel, tag));
        saved.into_iter().filter_map(Result::transpose).collect()
    }

    /// Places in an environment of bytecode that is kept, from its root on.
    pub(crate) fn stored_bytecode_paths(&self, environment: &ScannedVenv, tag: &str) -> HashSet<String> {
        let site = &environment.contents.site_packages;
        let known = environment.wheels.iter().filter_map(|wheel| self.open_bytecode_entry(wheel, tag));
        let paths = known.flat_map(|entry| entry.manifest.nodes).map(|item| format!("{site}/{}", item.path));
        paths.filter(|path| environment.contents.files.contains_key(path)).collect()
    }

    /// The bytecode of the wheels of a digest: of the wheel itself, or of all that were built from an archive.
    pub(crate) fn stored_bytecode(&self, digest: Sha256Digest, tag: &str) -> Vec<(EntryId, StoredBytecode)> {
        let built = self.entry_ids_with_prefix(EntryKind::BuiltWheel, &format!("{digest}."));
        let wheels = [EntryId::for_wheel(digest)].into_iter().chain(built);
        wheels.filter_map(|wheel| self.wheel_bytecode(&wheel, tag)).collect()
    }

    fn wheel_bytecode(&self, wheel: &EntryId, tag: &str) -> Option<(EntryId, StoredBytecode)> {
        let wheel = self.open_entry(wheel).ok().flatten()?;
        let entry = self.open_bytecode_entry(&wheel, tag)?;
        let kept: HashSet<&str> = entry.manifest.nodes.iter().map(|item| item.path.as_str()).collect();
        let modules = wheel_modules(&wheel, tag).filter_map(|module| {
            let there: Vec<String> = module.pyc_paths.into_iter().filter(|path| kept.contains(path.as_str())).collect();
            (!there.is_empty()).then(|| (module.node.path.clone(), module.site_path, module.sha256.to_string(), there))
        });
        let modules = modules.collect();
        self.mark_used(&entry.id);
        let text = |entry: &StoreEntry| entry.tree_path().display().to_string();
        Some((entry.id.clone(), StoredBytecode { wheel: text(&wheel), bytecode: text(&entry), modules }))
    }

    fn open_bytecode_entry(&self, wheel: &StoreEntry, tag: &str) -> Option<StoreEntry> {
        self.latest_version(EntryKind::Bytecode, &bytecode_key(&wheel.meta.tree_digest, tag))
    }

    /// Keeps what an environment has of a wheel's bytecode and the store has not; none where that is nothing.
    fn save_wheel_bytecode(
        &self,
        environment: &ScannedVenv,
        wheel: &StoreEntry,
        tag: &str,
    ) -> Result<Option<SavedEntry>, SaveFailure> {
        let name = format!("bytecode of {}", wheel.meta.name);
        let not = |reason: String| SaveFailure { name: name.clone(), reason };
        let known = self.open_bytecode_entry(wheel, tag);
        let have: HashSet<&str> =
            known.iter().flat_map(|entry| &entry.manifest.nodes).map(|item| item.path.as_str()).collect();
        let new = collect_new_bytecode(environment, wheel, tag, &have);
        if new.is_empty() {
            return Ok(None);
        }
        let key = bytecode_key(&wheel.meta.tree_digest, tag);
        let id = EntryId::new_version(EntryKind::Bytecode, &key).ok_or_else(|| not("its name is none".to_owned()))?;
        let mut incoming = self.stage_entry(&id, &name).map_err(|error| not(error.to_string()))?;
        let damaged = |damage: super::corruption::EntryDamage| not(format!("{}: {}", damage.path, damage.corruption));
        if let Some(known) = &known {
            incoming.import_tree(&known.tree_path(), &FileLinker::new()).map_err(damaged)?;
        }
        for (path, bytes) in new {
            incoming.add_file(&path, false, bytes.len() as u64, &mut bytes.as_slice()).map_err(damaged)?;
        }
        let published = incoming.publish(None).map_err(|mut found| not(found.remove(0).corruption.to_string()))?;
        drop(known);
        self.remove_older_versions(EntryKind::Bytecode, &key, &id.to_string());
        Ok(match published {
            PublishOutcome::New(head) => {
                Some(SavedEntry { entry: id.to_string(), name: head.name, files: head.files, bytes: head.bytes })
            }
            PublishOutcome::AlreadyExists => None,
        })
    }
}

/// A module of a wheel.
struct WheelModule<'a> {
    /// In the wheel's tree.
    node: &'a TreeNode,
    /// In `site-packages`.
    site_path: String,
    sha256: Sha256Digest,
    size: u64,
    /// Where its bytecode may lie, in `site-packages`.
    pyc_paths: [String; 3],
}

fn wheel_modules<'a>(wheel: &'a StoreEntry, tag: &'a str) -> impl Iterator<Item = WheelModule<'a>> {
    wheel.manifest.nodes.iter().filter_map(move |item| {
        let TreeNodeKind::File { sha256, size, .. } = item.kind else { return None };
        let place = install_path("site", &item.path)?.strip_prefix("site/")?.to_owned();
        let bytecode = pyc_paths(&place, tag)?;
        Some(WheelModule { node: item, site_path: place, sha256, size, pyc_paths: bytecode })
    })
}

/// Bytecode that an environment has beside sources of a wheel, written there by Python, in the form that is kept.
fn collect_new_bytecode(
    environment: &ScannedVenv,
    wheel: &StoreEntry,
    tag: &str,
    have: &HashSet<&str>,
) -> Vec<(String, Vec<u8>)> {
    let (seen, root) = (&environment.contents, &environment.root);
    let listed: HashSet<&str> = wheel.manifest.nodes.iter().map(|item| item.path.as_str()).collect();
    // What was compiled before this install is of a source that went, though size and second may be the same.
    let info = wheel.manifest.nodes.iter().find_map(|item| item.path.strip_suffix(".dist-info/RECORD"));
    let since = info.and_then(|info| seen.dist_info_times.get(&format!("{}/{info}.dist-info", seen.site_packages)));
    let Some(since) = since else { return Vec::new() };
    let mut new = Vec::new();
    for module in wheel_modules(wheel, tag) {
        let place = format!("{}/{}", seen.site_packages, module.site_path);
        let written = module
            .pyc_paths
            .into_iter()
            .filter(|path| !have.contains(path.as_str()) && !listed.contains(path.as_str()));
        let fresh = |path: &String| {
            seen.files.get(&format!("{}/{path}", seen.site_packages)).is_some_and(|stamp| stamp.mtime_ns >= *since)
        };
        let written: Vec<String> = written.filter(fresh).collect();
        let (Some(stamp), false) = (seen.files.get(&place), written.is_empty()) else { continue };
        if environment.matches_wheel_file(module.node, &place) != Some(true) {
            continue;
        }
        let time = stamp.mtime_ns.div_euclid(1_000_000_000);
        for path in written {
            let bytes = std::fs::read(root.join(&seen.site_packages).join(&path)).unwrap_or_default();
            new.extend(to_unchecked_hash(&bytes, time, module.size).map(|bytes| (path, bytes)));
        }
    }
    new
}
