//! What a restore will do, as data: what is put down, what is there already, what is missing and why.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cache::package_selection::{PackageSelection, SelectedPackage};
use crate::cache::progress::WorkAmount;
use crate::cache::uv::{UvCache, UvCachedWheel};
use crate::fs::{FileStat, Sha256Digest, blake3_hex, parallel_map};

use super::corruption::{Corruption, EntryDamage};
use super::entry::{StoreEntry, UvPlacement};
use super::entry_id::{EntryId, EntryKind};
use super::store_dir::Store;
use super::tree_manifest::{TreeNode, TreeNodeKind};

/// A wanted package that cannot be had from the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CacheMiss {
    /// Its name and version.
    pub name: String,
    /// Why, in words for people.
    pub reason: String,
}

impl CacheMiss {
    /// The reason of a miss of what was never kept.
    pub const NOT_STORED: &str = "not in the store";
}

/// What a restore will do.
#[derive(Debug, Default)]
pub(crate) struct RestorePlan {
    /// What is put down.
    pub(super) pending: Vec<PlannedRestore>,
    /// What is there and whole.
    pub(crate) present: Vec<String>,
    /// What is not to be had.
    pub(crate) misses: Vec<CacheMiss>,
    /// What was found damaged while looking: trees in the uv cache, facts in the store.
    pub(crate) damaged: Vec<EntryDamage>,
}

/// An entry and where it goes.
#[derive(Debug)]
pub(super) struct PlannedRestore {
    pub(super) entry: StoreEntry,
    pub(super) placement: UvPlacement,
    pub(super) placement_files: Vec<Vec<u8>>,
    /// Whether uv's pointer is there already and only the tree is put back.
    pub(super) existing_tree: Option<PathBuf>,
}

impl RestorePlan {
    /// All that will be put down.
    pub(crate) fn total_amount(&self) -> WorkAmount {
        let amount =
            |to: &PlannedRestore| WorkAmount { entries: 1, files: to.entry.meta.files, bytes: to.entry.meta.bytes };
        self.pending.iter().map(amount).sum()
    }
}

/// What the plan knows while it is made.
struct RestorePlanner<'a> {
    store: &'a Store,
    cache: &'a UvCache,
    /// What lies in the uv cache, read when first asked for.
    wheels_by_digest: std::cell::OnceCell<BTreeMap<Sha256Digest, Vec<UvCachedWheel>>>,
    plan: RestorePlan,
}

impl Store {
    /// Looks what of the wanted is here, what can be put here, and what cannot; changes nothing.
    pub(crate) fn plan_restore(&self, wanted: &PackageSelection, cache: &UvCache) -> RestorePlan {
        let everything;
        let packages = match wanted {
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

    /// Every wheel of the store as a package of its own.
    fn all_wheel_packages(&self) -> Vec<SelectedPackage> {
        let ids =
            [EntryKind::Wheel, EntryKind::BuiltWheel].into_iter().flat_map(|kind| self.entry_ids_with_prefix(kind, ""));
        let mut found: BTreeMap<Sha256Digest, SelectedPackage> = BTreeMap::new();
        for id in ids {
            let Some(digest) = id.id().get(..64).and_then(Sha256Digest::from_hex) else { continue };
            let name = self.entry_meta(&id).map_or_else(|_| id.to_string(), |head| head.name);
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
                    Ok(None) => {}
                    Ok(Some(entry)) => match self.plan_entry(entry) {
                        Ok(()) => found = true,
                        Err(why) => reason = why,
                    },
                    Err(wrong) => {
                        reason = format!("its entry is damaged: {wrong}");
                        let name = package.name.clone();
                        self.plan.damaged.push(EntryDamage { entry: id, name, path: String::new(), corruption: wrong });
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

    /// Plans one entry for every place that this uv had it at.
    fn plan_entry(&mut self, entry: StoreEntry) -> Result<(), String> {
        let placings = entry.placements();
        let mut fitting: Vec<(UvPlacement, Vec<Vec<u8>>)> = Vec::new();
        let mut other = BTreeSet::new();
        for (placing, files) in placings {
            if self.cache.can_hold_placement(&placing) {
                fitting.push((placing, files));
            } else {
                other.insert(placing.bucket);
            }
        }
        if fitting.is_empty() {
            let layout = &self.cache.layout().wheels;
            let kept =
                if other.is_empty() { "no uv".to_owned() } else { other.into_iter().collect::<Vec<_>>().join(", ") };
            return Err(format!("kept for {kept}, and this uv has {layout}"));
        }
        let id = entry.id.clone();
        let mut held = Some(entry);
        for (placing, files) in fitting {
            let entry = match held.take() {
                Some(entry) => entry,
                None => match self.store.open_entry(&id) {
                    Ok(Some(entry)) => entry,
                    _ => return Ok(()),
                },
            };
            if id.kind == EntryKind::BuiltWheel && self.has_other_build(&placing) {
                return Err("another build of it is in the uv cache".to_owned());
            }
            let only_tree = self.cache.find_tree(&placing);
            self.plan.pending.push(PlannedRestore {
                entry,
                placement: placing,
                placement_files: files,
                existing_tree: only_tree,
            });
        }
        Ok(())
    }

    /// Whether the cache has a revision of the same source archive that is not ours.
    fn has_other_build(&self, placing: &UvPlacement) -> bool {
        let revision = placing.files.last();
        revision.is_some_and(|revision| {
            let there = std::fs::read(self.cache.dir().join(&revision.path));
            there.is_ok_and(|bytes| blake3_hex(&bytes) != revision.digest)
        })
    }

    fn wheels_by_digest(&self) -> &BTreeMap<Sha256Digest, Vec<UvCachedWheel>> {
        self.wheels_by_digest.get_or_init(|| {
            let mut all: BTreeMap<Sha256Digest, Vec<UvCachedWheel>> = BTreeMap::new();
            for pointer in self.cache.scan_wheels().0 {
                all.entry(pointer.digest).or_default().push(pointer);
            }
            all
        })
    }

    /// Looks at the trees that are here already, all at once: those that are whole need nothing.
    fn check_present_trees(mut self) -> RestorePlan {
        let planned = std::mem::take(&mut self.plan.pending);
        let faults = parallel_map(&planned, |to| match &to.existing_tree {
            Some(tree) => find_present_tree_faults(&to.entry, tree),
            None => Vec::new(),
        });
        for (mut to, faults) in planned.into_iter().zip(faults) {
            match (to.existing_tree.take(), faults.is_empty()) {
                (Some(_), true) => self.plan.present.push(to.entry.meta.name.clone()),
                (None, _) => self.plan.pending.push(to),
                (Some(tree), false) => {
                    to.existing_tree = Some(tree);
                    let damage = |(path, wrong): (String, Corruption)| EntryDamage {
                        entry: to.entry.id.clone(),
                        name: to.entry.meta.name.clone(),
                        path: format!("in the uv cache: {path}"),
                        corruption: wrong,
                    };
                    self.plan.damaged.extend(faults.into_iter().map(damage));
                    self.plan.pending.push(to);
                }
            }
        }
        self.plan
    }
}

/// What can be seen of a tree in the uv cache without reading it all: files that are missing, of another length, or that
/// are the store's own files and were written to. What looks written to is read.
fn find_present_tree_faults(entry: &StoreEntry, tree: &Path) -> Vec<(String, Corruption)> {
    let mut found = Vec::new();
    for item in &entry.manifest.nodes {
        let path = tree.join(&item.path);
        let wrong = match (FileStat::from_path(&path), &item.kind) {
            (Err(_), _) => Some(Corruption::Missing),
            (Ok(stamp), TreeNodeKind::File { .. }) => find_file_fault(item, &path, &stamp),
            (Ok(stamp), TreeNodeKind::Symlink { .. }) => (!stamp.is_symlink()).then_some(Corruption::FileTypeMismatch),
            (Ok(stamp), TreeNodeKind::EmptyFolder) => (!stamp.is_dir()).then_some(Corruption::FileTypeMismatch),
        };
        found.extend(wrong.map(|wrong| (item.path.clone(), wrong)));
    }
    found
}

fn find_file_fault(item: &TreeNode, path: &Path, stamp: &FileStat) -> Option<Corruption> {
    let TreeNodeKind::File { sha256, size, executable, inode, modified, .. } = item.kind else { return None };
    if !stamp.is_file() {
        return Some(Corruption::FileTypeMismatch);
    }
    if stamp.has_special_bits() {
        return Some(Corruption::SpecialMode);
    }
    if stamp.size != size {
        return Some(Corruption::SizeMismatch { listed: size, found: stamp.size });
    }
    if stamp.is_executable() != executable {
        return Some(Corruption::PermissionMismatch);
    }
    // A file of uv's own making has a time of its own; only of the store's files do we know when they were written.
    if stamp.inode == inode && stamp.mtime_ns != modified {
        return match crate::fs::sha256_file(path) {
            Ok((found, _)) if found == sha256 => None,
            Ok(_) => Some(Corruption::ContentMismatch),
            Err(error) => Some(Corruption::Unreadable(error.to_string())),
        };
    }
    None
}
