//! A store elsewhere as one run sees it: what the manifests of its scopes say.

use std::collections::{BTreeMap, BTreeSet};

use super::environments::folder_name;
use super::manifest::{Frame, Lay, Manifest};
use super::scope::Scope;
use super::sums::Sums;
use crate::cache::backend::{Backend, BackendError};
use crate::cache::store::{EntryId, Kind, Miss, StateName};
use crate::cache::wanted::{Wanted, WantedPackage};
use crate::fs::Sha256;

/// The longest manifest that is read, in bytes.
const LONGEST: u64 = 16 << 20;
/// How many manifests of one scope are read: what several runs wrote at once, until one of them is read by another.
const MANIFESTS: usize = 8;

/// A store elsewhere.
#[derive(Debug)]
pub struct Remote {
    /// Where it is.
    pub backend: Box<dyn Backend>,
    /// Whose manifests are read and written.
    pub scope: Scope,
    /// The key that manifests are signed with; with one, only what it signed is used.
    pub key: Option<String>,
    /// What the project says its wheels unpack to; with it, nothing else is used.
    pub sums: Option<Sums>,
}

/// What the manifests say.
#[derive(Debug, Default)]
pub struct View {
    /// Frames of all scopes, nearest first, by entry.
    pub(super) frames: BTreeMap<String, Vec<Frame>>,
    /// What the scope that is written has, all its manifests as one.
    pub(super) own: Manifest,
    /// Their keys.
    pub(super) own_keys: Vec<String>,
    /// What sessions' environments held, by the name of their folder; the nearest scope's word counts.
    pub(super) environments: BTreeMap<String, BTreeSet<String>>,
    /// Where the project lay when the nearest of them was written.
    lay: Lay,
    /// What went wrong while looking, in sentences.
    pub troubles: Vec<String>,
}

impl Remote {
    /// Reads the manifests of every scope. What cannot be read is told and is not there.
    pub fn view(&self) -> View {
        let mut view = View::default();
        if !self.backend.abilities().reads {
            return view;
        }
        for scope in &self.scope.read {
            match self.manifests(scope, &mut view.troubles) {
                Ok(manifests) => {
                    if *scope == self.scope.own {
                        view.own_keys = manifests.iter().map(|(key, _)| key.clone()).collect();
                        view.own = together(manifests.iter().map(|(_, manifest)| manifest));
                    }
                    if view.lay == Lay::default() {
                        view.lay = manifests.first().map(|(_, newest)| newest.lay.clone()).unwrap_or_default();
                    }
                    for (name, held) in manifests.iter().flat_map(|(_, manifest)| &manifest.environments) {
                        view.environments.entry(name.clone()).or_insert_with(|| held.clone());
                    }
                    let frames = manifests.into_iter().flat_map(|(_, manifest)| manifest.frames);
                    for frame in frames.filter(|frame| self.scope.is_ours(&frame.pack)) {
                        view.frames.entry(frame.entry.clone()).or_default().push(frame);
                    }
                }
                Err(error) => {
                    view.troubles.push(error.to_string());
                    break;
                }
            }
        }
        view
    }

    /// The manifests of one scope that no other one replaces, newest first.
    pub(super) fn manifests(
        &self,
        scope: &str,
        troubles: &mut Vec<String>,
    ) -> Result<Vec<(String, Manifest)>, BackendError> {
        let prefix = self.scope.manifests(scope);
        let mut found: Vec<(String, Manifest)> = Vec::new();
        let mut replaced: BTreeSet<String> = BTreeSet::new();
        let mut listed = self.backend.list(&prefix)?;
        // Keys hold the time of their writing.
        listed.sort_by(|one, other| other.key.cmp(&one.key));
        for object in listed.into_iter().take(2 * MANIFESTS) {
            if replaced.contains(&object.key) || found.len() >= MANIFESTS {
                continue;
            }
            let Some(bytes) = self.backend.get(&object.key, 0..LONGEST)? else { continue };
            match Manifest::read(&bytes, self.key.as_deref()) {
                Ok(manifest) => {
                    replaced.extend(manifest.replaces.iter().cloned());
                    found.push((object.key, manifest));
                }
                Err(error) => troubles.push(format!("{}: {error}", object.key)),
            }
        }
        found.retain(|(key, _)| !replaced.contains(key));
        Ok(found)
    }
}

/// Several manifests as one: of two frames alike the first counts.
pub(super) fn together<'a>(manifests: impl IntoIterator<Item = &'a Manifest>) -> Manifest {
    let mut frames: BTreeMap<(String, Vec<String>), Frame> = BTreeMap::new();
    let mut packs = BTreeMap::new();
    let mut environments: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for manifest in manifests {
        for (name, held) in &manifest.environments {
            environments.entry(name.clone()).or_insert_with(|| held.clone());
        }
        packs.extend(manifest.packs.clone());
        for frame in &manifest.frames {
            let known = frames.entry((frame.entry.clone(), frame.buckets.clone())).or_insert_with(|| frame.clone());
            known.used = known.used.max(frame.used);
        }
    }
    let mut whole = Manifest::new(frames.into_values().collect(), packs, Vec::new());
    whole.environments = environments;
    whole
}

impl View {
    /// How many packages it has.
    pub fn len(&self) -> usize {
        self.frames.keys().filter(|entry| is_package(entry)).count()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What an environment of this name held; none where nobody knows.
    pub fn held(&self, environment: &str) -> Option<Vec<WantedPackage>> {
        let name = folder_name(environment);
        let held = self.environments.get(&name)?;
        Some(held.iter().filter_map(|entry| self.package(entry)).collect())
    }

    /// Where the project lies in the run of this scope.
    pub fn lay(&self, scope: &Scope) -> Lay {
        self.lay.then(&scope.place, &scope.run)
    }

    /// What belongs to no environment, such as what builds packages.
    pub fn beside(&self) -> Vec<WantedPackage> {
        let held: BTreeSet<&String> = self.environments.values().flatten().collect();
        let others = self.frames.keys().filter(|entry| !held.contains(entry));
        others.filter_map(|entry| self.package(entry)).collect()
    }

    /// All it has.
    pub fn everything(&self) -> Vec<WantedPackage> {
        self.frames.keys().filter_map(|entry| self.package(entry)).collect()
    }

    fn package(&self, entry: &str) -> Option<WantedPackage> {
        let id = EntryId::parse(entry).filter(|id| id.kind.has_record())?;
        let digest = Sha256::from_hex(id.id().get(..64)?)?;
        let name = self.frames.get(entry)?.first()?.name.clone();
        Some(WantedPackage { name, digests: BTreeSet::from([digest]) })
    }

    /// The newest states there of what has none here.
    pub fn newest(&self, names: &[StateName], has: &dyn Fn(&StateName) -> bool) -> Vec<Frame> {
        names
            .iter()
            .filter(|name| !has(name))
            .filter_map(|name| name.starts().find_map(|start| self.state(&start)))
            .collect()
    }

    fn state(&self, start: &str) -> Option<Frame> {
        let from = self.frames.range(start.to_owned()..);
        let all = from.take_while(|(entry, _)| entry.starts_with(start)).filter_map(|(_, frames)| frames.first());
        let time = |frame: &&Frame| frame.id().and_then(|id| id.state().map(|(_, time)| time));
        all.max_by_key(time).cloned()
    }

    /// The bytecode of wanted packages, for interpreters of this tag.
    pub fn bytecode(&self, wanted: &[WantedPackage], tag: &str) -> Vec<StateName> {
        let digests = wanted.iter().flat_map(|package| &package.digests);
        let starts = digests.flat_map(|digest| [format!("wheel/{digest}"), format!("built/{digest}.")]);
        let frames = starts.flat_map(|start| {
            self.frames.range(start.clone()..).take_while(move |(entry, _)| entry.starts_with(&start))
        });
        let trees: BTreeSet<&str> = frames.flat_map(|(_, frames)| frames).map(|frame| frame.tree.as_str()).collect();
        trees.into_iter().map(|tree| StateName::bytecode(tree, tag)).collect()
    }

    /// What of the wanted is to be brought: what `has` says no to, for a uv cache with these buckets. Names what is there
    /// but not to be trusted.
    pub fn frames_of(
        &self,
        wanted: &Wanted,
        buckets: &[&str],
        sums: Option<&Sums>,
        has: &dyn Fn(&EntryId) -> bool,
    ) -> (Vec<Frame>, Vec<Miss>) {
        let mut frames = Vec::new();
        let mut misses = Vec::new();
        let digests: Option<BTreeSet<String>> = match wanted {
            Wanted::All => None,
            Wanted::These(packages) => {
                Some(packages.iter().flat_map(|package| &package.digests).map(ToString::to_string).collect())
            }
        };
        for known in self.frames.values() {
            let fits = |frame: &&Frame| frame.buckets.iter().any(|known| buckets.contains(&known.as_str()));
            let Some(frame) = known.iter().find(fits) else { continue };
            let Some(id) = frame.id().filter(|id| matches!(id.kind, Kind::Wheel | Kind::Built)) else { continue };
            let digest = id.id().get(..64).unwrap_or_default();
            let is_wanted = digests.as_ref().is_none_or(|digests| digests.contains(digest));
            if !is_wanted || has(&id) {
                continue;
            }
            match sums.map(|sums| sums.tree(&id)) {
                None => frames.push(frame.clone()),
                Some(Some(tree)) if tree == frame.tree => frames.push(frame.clone()),
                Some(Some(_)) => {
                    misses
                        .push(Miss { name: frame.name.clone(), reason: "its tree is not that of noxide.sums".into() });
                }
                Some(None) => {
                    misses.push(Miss { name: frame.name.clone(), reason: "it is not in noxide.sums".to_owned() });
                }
            }
        }
        (frames, misses)
    }
}

/// Whether a name of an entry is that of a package; the others are states.
fn is_package(entry: &str) -> bool {
    EntryId::parse(entry).is_some_and(|id| id.kind.has_record())
}
