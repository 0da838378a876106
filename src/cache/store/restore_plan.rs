//! What a restore will do, as data: what is put down, what is there already, what is missing and why.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cache::progress::Amount;
use crate::cache::uv::{Pointer, UvCache};
use crate::cache::wanted::{Wanted, WantedPackage};
use crate::fs::{Sha256, Stamp, blake3_hex, in_parallel};

use super::entry::{Entry, Placing};
use super::id::{EntryId, Kind};
use super::listing::{Listed, What};
use super::root::Store;
use super::wrong::{Damage, Wrong};

/// A wanted package that cannot be had from the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Miss {
    /// Its name and version.
    pub name: String,
    /// Why, in words for people.
    pub reason: String,
}

impl Miss {
    /// The reason of a miss of what was never kept.
    pub const NEVER: &str = "not in the store";
}

/// What a restore will do.
#[derive(Debug, Default)]
pub struct RestorePlan {
    /// What is put down.
    pub(super) place: Vec<ToPlace>,
    /// What is there and whole.
    pub here: Vec<String>,
    /// What is not to be had.
    pub misses: Vec<Miss>,
    /// What was found damaged while looking: trees in the uv cache, facts in the store.
    pub damaged: Vec<Damage>,
}

/// An entry and where it goes.
#[derive(Debug)]
pub(super) struct ToPlace {
    pub(super) entry: Entry,
    pub(super) placing: Placing,
    pub(super) files: Vec<Vec<u8>>,
    /// Whether uv's pointer is there already and only the tree is put back.
    pub(super) only_tree: Option<PathBuf>,
}

impl RestorePlan {
    /// All that will be put down.
    pub fn amount(&self) -> Amount {
        let amount = |to: &ToPlace| Amount { entries: 1, files: to.entry.head.files, bytes: to.entry.head.bytes };
        self.place.iter().map(amount).sum()
    }
}

/// What the plan knows while it is made.
struct Planner<'a> {
    store: &'a Store,
    cache: &'a UvCache,
    /// What lies in the uv cache, read when first asked for.
    lying: std::cell::OnceCell<BTreeMap<Sha256, Vec<Pointer>>>,
    plan: RestorePlan,
}

impl Store {
    /// Looks what of the wanted is here, what can be put here, and what cannot; changes nothing.
    pub fn plan_restore(&self, wanted: &Wanted, cache: &UvCache) -> RestorePlan {
        let everything;
        let packages = match wanted {
            Wanted::These(packages) => packages,
            Wanted::All => {
                everything = self.as_wanted();
                &everything
            }
        };
        let plan = RestorePlan::default();
        let mut planner = Planner { store: self, cache, lying: std::cell::OnceCell::new(), plan };
        for package in packages {
            planner.package(package);
        }
        planner.check_here()
    }

    /// Every wheel of the store as a package of its own.
    fn as_wanted(&self) -> Vec<WantedPackage> {
        let ids = [Kind::Wheel, Kind::Built].into_iter().flat_map(|kind| self.of_kind(kind, ""));
        let mut found: BTreeMap<Sha256, WantedPackage> = BTreeMap::new();
        for id in ids {
            let Some(digest) = id.id().get(..64).and_then(Sha256::from_hex) else { continue };
            let name = self.head(&id).map_or_else(|_| id.to_string(), |head| head.name);
            found.entry(digest).or_insert(WantedPackage { name, digests: BTreeSet::from([digest]) });
        }
        found.into_values().collect()
    }
}

impl Planner<'_> {
    fn package(&mut self, package: &WantedPackage) {
        let mut reason = Miss::NEVER.to_owned();
        let mut found = false;
        for digest in &package.digests {
            let built = self.store.of_kind(Kind::Built, &format!("{digest}."));
            for id in [EntryId::wheel(*digest)].into_iter().chain(built) {
                match self.store.entry(&id) {
                    Ok(None) => {}
                    Ok(Some(entry)) => match self.entry(entry) {
                        Ok(()) => found = true,
                        Err(why) => reason = why,
                    },
                    Err(wrong) => {
                        reason = format!("its entry is damaged: {wrong}");
                        let name = package.name.clone();
                        self.plan.damaged.push(Damage { entry: id, name, path: String::new(), wrong });
                    }
                }
            }
        }
        if found {
            return;
        }
        if package.digests.iter().any(|digest| self.lying().contains_key(digest)) {
            self.plan.here.push(package.name.clone());
        } else {
            self.plan.misses.push(Miss { name: package.name.clone(), reason });
        }
    }

    /// Plans one entry for every place that this uv had it at.
    fn entry(&mut self, entry: Entry) -> Result<(), String> {
        let placings = entry.placings();
        let mut fitting: Vec<(Placing, Vec<Vec<u8>>)> = Vec::new();
        let mut other = BTreeSet::new();
        for (placing, files) in placings {
            if self.cache.takes(&placing) {
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
                None => match self.store.entry(&id) {
                    Ok(Some(entry)) => entry,
                    _ => return Ok(()),
                },
            };
            if id.kind == Kind::Built && self.other_build(&placing) {
                return Err("another build of it is in the uv cache".to_owned());
            }
            let only_tree = self.cache.tree_of(&placing);
            self.plan.place.push(ToPlace { entry, placing, files, only_tree });
        }
        Ok(())
    }

    /// Whether the cache has a revision of the same source archive that is not ours.
    fn other_build(&self, placing: &Placing) -> bool {
        let revision = placing.files.last();
        revision.is_some_and(|revision| {
            let there = std::fs::read(self.cache.dir().join(&revision.path));
            there.is_ok_and(|bytes| blake3_hex(&bytes) != revision.digest)
        })
    }

    fn lying(&self) -> &BTreeMap<Sha256, Vec<Pointer>> {
        self.lying.get_or_init(|| {
            let mut all: BTreeMap<Sha256, Vec<Pointer>> = BTreeMap::new();
            for pointer in self.cache.scan().0 {
                all.entry(pointer.digest).or_default().push(pointer);
            }
            all
        })
    }

    /// Looks at the trees that are here already, all at once: those that are whole need nothing.
    fn check_here(mut self) -> RestorePlan {
        let planned = std::mem::take(&mut self.plan.place);
        let faults = in_parallel(&planned, |to| match &to.only_tree {
            Some(tree) => faults_here(&to.entry, tree),
            None => Vec::new(),
        });
        for (mut to, faults) in planned.into_iter().zip(faults) {
            match (to.only_tree.take(), faults.is_empty()) {
                (Some(_), true) => self.plan.here.push(to.entry.head.name.clone()),
                (None, _) => self.plan.place.push(to),
                (Some(tree), false) => {
                    to.only_tree = Some(tree);
                    let damage = |(path, wrong): (String, Wrong)| Damage {
                        entry: to.entry.id.clone(),
                        name: to.entry.head.name.clone(),
                        path: format!("in the uv cache: {path}"),
                        wrong,
                    };
                    self.plan.damaged.extend(faults.into_iter().map(damage));
                    self.plan.place.push(to);
                }
            }
        }
        self.plan
    }
}

/// What can be seen of a tree in the uv cache without reading it all: files that are missing, of another length, or that
/// are the store's own files and were written to. What looks written to is read.
fn faults_here(entry: &Entry, tree: &Path) -> Vec<(String, Wrong)> {
    let mut found = Vec::new();
    for item in &entry.listing.items {
        let path = tree.join(&item.path);
        let wrong = match (Stamp::of(&path), &item.what) {
            (Err(_), _) => Some(Wrong::Missing),
            (Ok(stamp), What::File { .. }) => file_fault(item, &path, &stamp),
            (Ok(stamp), What::Link { .. }) => (!stamp.is_link()).then_some(Wrong::FileKind),
            (Ok(stamp), What::Folder) => (!stamp.is_folder()).then_some(Wrong::FileKind),
        };
        found.extend(wrong.map(|wrong| (item.path.clone(), wrong)));
    }
    found
}

fn file_fault(item: &Listed, path: &Path, stamp: &Stamp) -> Option<Wrong> {
    let What::File { sha256, size, executable, inode, modified, .. } = item.what else { return None };
    if !stamp.is_file() {
        return Some(Wrong::FileKind);
    }
    if stamp.is_special() {
        return Some(Wrong::Special);
    }
    if stamp.size != size {
        return Some(Wrong::Size { listed: size, found: stamp.size });
    }
    if stamp.is_executable() != executable {
        return Some(Wrong::Permissions);
    }
    // A file of uv's own making has a time of its own; only of the store's files do we know when they were written.
    if stamp.inode == inode && stamp.modified != modified {
        return match crate::fs::sha256_of(path) {
            Ok((found, _)) if found == sha256 => None,
            Ok(_) => Some(Wrong::Content),
            Err(error) => Some(Wrong::Unreadable(error.to_string())),
        };
    }
    None
}
