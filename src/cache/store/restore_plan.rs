//! Restore plans: which wheels to restore, which are present, and which are missing and why.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use crate::cache::package_selection::{PackageSelection, SelectedPackage};
use crate::cache::progress::WorkAmount;
use crate::cache::uv::{UvCache, UvCachedWheel};
use crate::fs::{FileStat, MAX_DOCUMENT_BYTES, Sha256Digest, blake3_hex, parallel_map, read_regular_file};

use super::damage::{Damage, EntryDamage};
use super::entry::StoreEntry;
use super::entry_id::{EntryId, EntryKind};
use super::store_dir::Store;
use super::tree_listing::{TreeNode, TreeNodeKind};
use super::uv_placement::UvPlacement;

/// A requested package that cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CacheMiss {
    /// Display name, such as `numpy 2.4.5`.
    pub name: String,
    /// The reason, as a message.
    pub reason: String,
}

impl CacheMiss {
    /// The reason if the store has no such entry.
    pub const NOT_STORED: &str = "not in the store";
}

/// Why an entry of the store cannot be restored into a uv cache.
#[derive(Debug, Error)]
enum UnusableEntry {
    #[error("the files by which uv finds it in its cache are missing or damaged")]
    NoPlacement,
    #[error("stored for uv's cache format {stored_for}, but this uv uses {current}")]
    OtherBucket { stored_for: String, current: String },
    #[error("the uv cache contains another build of it")]
    OtherBuild,
}

/// Entries that a restore writes, and packages that it does not.
#[derive(Debug, Default)]
pub(crate) struct RestorePlan {
    /// Entries to restore.
    pub(super) pending: Vec<PlannedRestore>,
    /// Names of packages that are present and intact.
    pub(crate) present: Vec<String>,
    /// Packages that cannot be restored.
    pub(crate) misses: Vec<CacheMiss>,
    /// Damage found while planning: trees in the uv cache, metadata in the store.
    pub(crate) damaged: Vec<EntryDamage>,
}

/// An entry and its location in the uv cache.
#[derive(Debug)]
pub(super) struct PlannedRestore {
    pub(super) entry: StoreEntry,
    pub(super) placement: UvPlacement,
    pub(super) placement_files: Vec<Vec<u8>>,
    /// The tree to replace, if uv's pointer file exists already.
    pub(super) existing_tree: Option<PathBuf>,
}

impl RestorePlan {
    /// Returns the amount of work.
    pub(crate) fn total_amount(&self) -> WorkAmount {
        let amount = |planned: &PlannedRestore| WorkAmount {
            entries: 1,
            files: planned.entry.meta.files,
            bytes: planned.entry.meta.bytes,
        };
        self.pending.iter().map(amount).sum()
    }
}

/// A restore plan under construction.
struct RestorePlanner<'a> {
    store: &'a Store,
    cache: &'a UvCache,
    /// Content of the uv cache, read at the first use.
    wheels_by_digest: std::cell::OnceCell<BTreeMap<Sha256Digest, Vec<UvCachedWheel>>>,
    plan: RestorePlan,
}

impl Store {
    /// Determines which selected packages are present, which can be restored, and which cannot. Changes nothing.
    pub(crate) fn plan_restore(&self, selection: &PackageSelection, cache: &UvCache) -> RestorePlan {
        let everything;
        let packages = match selection {
            PackageSelection::Only(packages) => packages,
            PackageSelection::All => {
                everything = self.all_wheel_packages();
                &everything
            }
        };
        let plan = RestorePlan::default();
        let mut planner = RestorePlanner { store: self, cache, wheels_by_digest: std::cell::OnceCell::new(), plan };
        for package in packages {
            planner.plan_package(package);
        }
        planner.check_present_trees()
    }

    /// Returns every wheel of the store as a separate package.
    fn all_wheel_packages(&self) -> Vec<SelectedPackage> {
        let ids =
            [EntryKind::Wheel, EntryKind::BuiltWheel].into_iter().flat_map(|kind| self.entry_ids_with_prefix(kind, ""));
        let mut found: BTreeMap<Sha256Digest, SelectedPackage> = BTreeMap::new();
        for id in ids {
            let Some(digest) = id.id().get(..64).and_then(Sha256Digest::from_hex) else { continue };
            let name = self.entry_meta(&id).map_or_else(|_| id.to_string(), |meta| meta.name);
            found.entry(digest).or_insert(SelectedPackage { name, digests: BTreeSet::from([digest]) });
        }
        found.into_values().collect()
    }
}

impl RestorePlanner<'_> {
    fn plan_package(&mut self, package: &SelectedPackage) {
        let mut reason = CacheMiss::NOT_STORED.to_owned();
        let mut found = false;
        for digest in &package.digests {
            let built = self.store.entry_ids_with_prefix(EntryKind::BuiltWheel, &format!("{digest}."));
            for id in [EntryId::for_wheel(*digest)].into_iter().chain(built) {
                match self.store.open_entry(&id) {
                    Ok(None) if self.store.has_excluded_entry(&id) => {
                        reason = "the store has it from a remote cache, but noxide.sums does not cover it".to_owned();
                    }
                    Ok(None) => {}
                    Ok(Some(entry)) => match self.plan_entry(entry) {
                        Ok(()) => found = true,
                        Err(error) => reason = error.to_string(),
                    },
                    Err(damage) => {
                        reason = format!("its entry is damaged: {damage}");
                        let name = package.name.clone();
                        self.plan.damaged.push(EntryDamage { entry: id, name, path: String::new(), damage });
                    }
                }
            }
        }
        if found {
            return;
        }
        if package.digests.iter().any(|digest| self.wheels_by_digest().contains_key(digest)) {
            self.plan.present.push(package.name.clone());
        } else {
            self.plan.misses.push(CacheMiss { name: package.name.clone(), reason });
        }
    }

    /// Plans one entry for each of its placements that fits this uv.
    fn plan_entry(&mut self, entry: StoreEntry) -> Result<(), UnusableEntry> {
        let placements = entry.placements();
        let mut fitting: Vec<(UvPlacement, Vec<Vec<u8>>)> = Vec::new();
        let mut other = BTreeSet::new();
        for (placement, files) in placements {
            if self.cache.can_hold_placement(&placement) {
                fitting.push((placement, files));
            } else {
                other.insert(placement.bucket().to_owned());
            }
        }
        if fitting.is_empty() {
            if other.is_empty() {
                return Err(UnusableEntry::NoPlacement);
            }
            let stored_for = other.into_iter().collect::<Vec<_>>().join(", ");
            return Err(UnusableEntry::OtherBucket { stored_for, current: self.cache.layout().wheels.clone() });
        }
        let id = entry.id.clone();
        let mut first_entry = Some(entry);
        for (placement, files) in fitting {
            let entry = match first_entry.take() {
                Some(entry) => entry,
                None => match self.store.open_entry(&id) {
                    Ok(Some(entry)) => entry,
                    _ => return Ok(()),
                },
            };
            if id.kind == EntryKind::BuiltWheel && self.has_other_build(&placement) {
                return Err(UnusableEntry::OtherBuild);
            }
            let existing_tree = self.cache.find_tree(&placement);
            self.plan.pending.push(PlannedRestore { entry, placement, placement_files: files, existing_tree });
        }
        Ok(())
    }

    /// Returns whether the cache has another revision of the same source archive.
    fn has_other_build(&self, placement: &UvPlacement) -> bool {
        let revision = placement.files().last();
        revision.is_some_and(|revision| {
            let current = read_regular_file(&self.cache.dir().join(&revision.path), MAX_DOCUMENT_BYTES);
            current.is_ok_and(|bytes| blake3_hex(&bytes) != revision.digest)
        })
    }

    fn wheels_by_digest(&self) -> &BTreeMap<Sha256Digest, Vec<UvCachedWheel>> {
        self.wheels_by_digest.get_or_init(|| {
            let mut all: BTreeMap<Sha256Digest, Vec<UvCachedWheel>> = BTreeMap::new();
            for wheel in self.cache.scan_wheels().0 {
                all.entry(wheel.digest).or_default().push(wheel);
            }
            all
        })
    }

    /// Checks the trees that are present, in parallel; intact ones are not restored.
    fn check_present_trees(mut self) -> RestorePlan {
        let pending = std::mem::take(&mut self.plan.pending);
        let damaged_paths = parallel_map(&pending, |planned| match &planned.existing_tree {
            Some(tree) => find_present_tree_damage(&planned.entry, tree),
            None => Vec::new(),
        });
        for (mut planned, damaged_paths) in pending.into_iter().zip(damaged_paths) {
            match (planned.existing_tree.take(), damaged_paths.is_empty()) {
                (Some(_), true) => self.plan.present.push(planned.entry.meta.name.clone()),
                (None, _) => self.plan.pending.push(planned),
                (Some(tree), false) => {
                    planned.existing_tree = Some(tree);
                    let damage = |(path, damage): (String, Damage)| EntryDamage {
                        entry: planned.entry.id.clone(),
                        name: planned.entry.meta.name.clone(),
                        path: format!("in the uv cache: {path}"),
                        damage,
                    };
                    self.plan.damaged.extend(damaged_paths.into_iter().map(damage));
                    self.plan.pending.push(planned);
                }
            }
        }
        self.plan
    }
}

/// Checks a tree in the uv cache without reading all of it: files that are missing, have another size, or are hard links
/// to the store and were modified. Only modified files are read.
fn find_present_tree_damage(entry: &StoreEntry, tree: &Path) -> Vec<(String, Damage)> {
    let mut found = Vec::new();
    for node in &entry.listing.nodes {
        let path = tree.join(&node.path);
        let damage = match (FileStat::from_path(&path), &node.kind) {
            (Err(_), _) => Some(Damage::Missing),
            (Ok(stat), TreeNodeKind::File { .. }) => find_file_damage(node, &path, &stat),
            (Ok(stat), TreeNodeKind::Symlink { .. }) => (!stat.is_symlink()).then_some(Damage::FileTypeMismatch),
            (Ok(stat), TreeNodeKind::EmptyDirectory) => (!stat.is_dir()).then_some(Damage::FileTypeMismatch),
        };
        found.extend(damage.map(|damage| (node.path.clone(), damage)));
    }
    found
}

fn find_file_damage(node: &TreeNode, path: &Path, stat: &FileStat) -> Option<Damage> {
    let TreeNodeKind::File { sha256, size, executable, inode, modified, .. } = node.kind else { return None };
    if !stat.is_file() {
        return Some(Damage::FileTypeMismatch);
    }
    if stat.has_special_bits() {
        return Some(Damage::SpecialMode);
    }
    if stat.size != size {
        return Some(Damage::SizeMismatch { listed: size, found: stat.size });
    }
    if stat.is_executable() != executable {
        return Some(Damage::PermissionMismatch);
    }
    // The modification time is known only of files hard-linked to the store, not of those that uv unpacked itself.
    if stat.inode == inode && stat.mtime_ns != modified {
        return match crate::fs::sha256_file(path) {
            Ok((found, _)) if found == sha256 => None,
            Ok(_) => Some(Damage::ContentMismatch),
            Err(error) => Some(Damage::Unreadable(error.to_string())),
        };
    }
    None
}
