//! A store elsewhere as one run sees it: what the manifests of its scopes say.

use std::collections::{BTreeMap, BTreeSet};

use super::checksums::WheelChecksums;
use super::environment_entries::normalize_environment_name;
use super::manifest::{CheckoutLocation, PackFrame, RemoteManifest};
use super::scope::CacheScope;
use crate::cache::backend::{BackendError, CacheBackend};
use crate::cache::package_selection::{PackageSelection, SelectedPackage};
use crate::cache::store::{CacheMiss, EntryId, EntryKind, VersionedKey};
use crate::fs::Sha256Digest;

/// The longest manifest that is read, in bytes.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;
/// How many manifests of one scope are read: what several runs wrote at once, until one of them is read by another.
const MAX_MANIFESTS_PER_SCOPE: usize = 8;

/// A store elsewhere.
#[derive(Debug)]
pub struct RemoteStore {
    /// Where it is.
    pub backend: Box<dyn CacheBackend>,
    /// Whose manifests are read and written.
    pub scope: CacheScope,
    /// The key that manifests are signed with; with one, only what it signed is used.
    pub signing_key: Option<String>,
    /// What the project says its wheels unpack to; with it, nothing else is used.
    pub checksums: Option<WheelChecksums>,
}

/// What the manifests say.
#[derive(Debug, Default)]
pub struct RemoteSnapshot {
    /// Frames of all scopes, nearest first, by entry.
    pub(super) frames: BTreeMap<String, Vec<PackFrame>>,
    /// What the scope that is written has, all its manifests as one.
    pub(super) own_manifest: RemoteManifest,
    /// Their keys.
    pub(super) own_manifest_keys: Vec<String>,
    /// What sessions' environments held, by the name of their folder; the nearest scope's word counts.
    pub(super) environments: BTreeMap<String, BTreeSet<String>>,
    /// Where the project lay when the nearest of them was written.
    checkout: CheckoutLocation,
    /// What went wrong while looking, in sentences.
    pub warnings: Vec<String>,
}

impl RemoteStore {
    /// Reads the manifests of every scope. What cannot be read is told and is not there.
    pub fn load_snapshot(&self) -> RemoteSnapshot {
        let mut view = RemoteSnapshot::default();
        if !self.backend.capabilities().can_read {
            return view;
        }
        for scope in &self.scope.read_scopes {
            match self.load_manifests(scope, &mut view.warnings) {
                Ok(manifests) => {
                    if *scope == self.scope.write_scope {
                        view.own_manifest_keys = manifests.iter().map(|(key, _)| key.clone()).collect();
                        view.own_manifest = merge_manifests(manifests.iter().map(|(_, manifest)| manifest));
                    }
                    if view.checkout == CheckoutLocation::default() {
                        view.checkout =
                            manifests.first().map(|(_, newest)| newest.checkout.clone()).unwrap_or_default();
                    }
                    for (name, held) in manifests.iter().flat_map(|(_, manifest)| &manifest.environments) {
                        view.environments.entry(name.clone()).or_insert_with(|| held.clone());
                    }
                    let frames = manifests.into_iter().flat_map(|(_, manifest)| manifest.frames);
                    for frame in frames.filter(|frame| self.scope.is_own_key(&frame.pack)) {
                        view.frames.entry(frame.entry.clone()).or_default().push(frame);
                    }
                }
                Err(error) => {
                    view.warnings.push(error.to_string());
                    break;
                }
            }
        }
        view
    }

    /// The manifests of one scope that no other one replaces, newest first.
    pub(super) fn load_manifests(
        &self,
        scope: &str,
        troubles: &mut Vec<String>,
    ) -> Result<Vec<(String, RemoteManifest)>, BackendError> {
        let prefix = self.scope.manifest_prefix(scope);
        let mut found: Vec<(String, RemoteManifest)> = Vec::new();
        let mut replaced: BTreeSet<String> = BTreeSet::new();
        let mut listed = self.backend.list_objects(&prefix)?;
        // Keys hold the time of their writing.
        listed.sort_by(|one, other| other.key.cmp(&one.key));
        for object in listed.into_iter().take(2 * MAX_MANIFESTS_PER_SCOPE) {
            if replaced.contains(&object.key) || found.len() >= MAX_MANIFESTS_PER_SCOPE {
                continue;
            }
            let Some(bytes) = self.backend.get_range(&object.key, 0..MAX_MANIFEST_BYTES)? else { continue };
            match RemoteManifest::from_bytes(&bytes, self.signing_key.as_deref()) {
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
pub(super) fn merge_manifests<'a>(manifests: impl IntoIterator<Item = &'a RemoteManifest>) -> RemoteManifest {
    let mut frames: BTreeMap<(String, Vec<String>), PackFrame> = BTreeMap::new();
    let mut packs = BTreeMap::new();
    let mut environments: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for manifest in manifests {
        for (name, held) in &manifest.environments {
            environments.entry(name.clone()).or_insert_with(|| held.clone());
        }
        packs.extend(manifest.packs.clone());
        for frame in &manifest.frames {
            let known = frames.entry((frame.entry.clone(), frame.buckets.clone())).or_insert_with(|| frame.clone());
            known.last_used_day = known.last_used_day.max(frame.last_used_day);
        }
    }
    let mut whole = RemoteManifest::new(frames.into_values().collect(), packs, Vec::new());
    whole.environments = environments;
    whole
}

impl RemoteSnapshot {
    /// How many packages it has.
    pub fn package_count(&self) -> usize {
        self.frames.keys().filter(|entry| is_package_entry(entry)).count()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.package_count() == 0
    }

    /// What an environment of this name held; none where nobody knows.
    pub(crate) fn environment_packages(&self, environment: &str) -> Option<Vec<SelectedPackage>> {
        let name = normalize_environment_name(environment);
        let held = self.environments.get(&name)?;
        Some(held.iter().filter_map(|entry| self.package_for_entry(entry)).collect())
    }

    /// Where the project lies in the run of this scope.
    pub(crate) fn checkout_location(&self, scope: &CacheScope) -> CheckoutLocation {
        self.checkout.for_run(&scope.checkout_id, &scope.run_id)
    }

    /// What belongs to no environment, such as what builds packages.
    pub(crate) fn unassigned_packages(&self) -> Vec<SelectedPackage> {
        let held: BTreeSet<&String> = self.environments.values().flatten().collect();
        let others = self.frames.keys().filter(|entry| !held.contains(entry));
        others.filter_map(|entry| self.package_for_entry(entry)).collect()
    }

    /// All it has.
    pub(crate) fn all_packages(&self) -> Vec<SelectedPackage> {
        self.frames.keys().filter_map(|entry| self.package_for_entry(entry)).collect()
    }

    fn package_for_entry(&self, entry: &str) -> Option<SelectedPackage> {
        let id = EntryId::parse(entry).filter(|id| id.kind.has_record())?;
        let digest = Sha256Digest::from_hex(id.id().get(..64)?)?;
        let name = self.frames.get(entry)?.first()?.name.clone();
        Some(SelectedPackage { name, digests: BTreeSet::from([digest]) })
    }

    /// The newest states there of what has none here.
    pub(crate) fn newest_states(&self, names: &[VersionedKey], has: &dyn Fn(&VersionedKey) -> bool) -> Vec<PackFrame> {
        names
            .iter()
            .filter(|name| !has(name))
            .filter_map(|name| name.entry_prefixes().find_map(|start| self.newest_state(&start)))
            .collect()
    }

    fn newest_state(&self, start: &str) -> Option<PackFrame> {
        let from = self.frames.range(start.to_owned()..);
        let all = from.take_while(|(entry, _)| entry.starts_with(start)).filter_map(|(_, frames)| frames.first());
        let time = |frame: &&PackFrame| frame.entry_id().and_then(|id| id.split_version().map(|(_, time)| time));
        all.max_by_key(time).cloned()
    }

    /// The bytecode of wanted packages, for interpreters of this tag.
    pub(crate) fn bytecode_states(&self, wanted: &[SelectedPackage], tag: &str) -> Vec<VersionedKey> {
        let digests = wanted.iter().flat_map(|package| &package.digests);
        let starts = digests
            .flat_map(|digest| [format!("wheel/{digest}"), format!("{}/{digest}.", EntryKind::BuiltWheel.as_str())]);
        let frames = starts.flat_map(|start| {
            self.frames.range(start.clone()..).take_while(move |(entry, _)| entry.starts_with(&start))
        });
        let trees: BTreeSet<&str> =
            frames.flat_map(|(_, frames)| frames).map(|frame| frame.tree_digest.as_str()).collect();
        trees.into_iter().map(|tree| VersionedKey::for_bytecode(tree, tag)).collect()
    }

    /// What of the wanted is to be brought: what `has` says no to, for a uv cache with these buckets. Names what is there
    /// but not to be trusted.
    pub fn select_frames(
        &self,
        wanted: &PackageSelection,
        buckets: &[&str],
        sums: Option<&WheelChecksums>,
        has: &dyn Fn(&EntryId) -> bool,
    ) -> (Vec<PackFrame>, Vec<CacheMiss>) {
        let mut frames = Vec::new();
        let mut misses = Vec::new();
        let digests: Option<BTreeSet<String>> = match wanted {
            PackageSelection::All => None,
            PackageSelection::Only(packages) => {
                Some(packages.iter().flat_map(|package| &package.digests).map(ToString::to_string).collect())
            }
        };
        for known in self.frames.values() {
            let fits = |frame: &&PackFrame| frame.buckets.iter().any(|known| buckets.contains(&known.as_str()));
            let Some(frame) = known.iter().find(fits) else { continue };
            let Some(id) = frame.entry_id().filter(|id| matches!(id.kind, EntryKind::Wheel | EntryKind::BuiltWheel))
            else {
                continue;
            };
            let digest = id.id().get(..64).unwrap_or_default();
            let is_wanted = digests.as_ref().is_none_or(|digests| digests.contains(digest));
            if !is_wanted || has(&id) {
                continue;
            }
            match sums.map(|sums| sums.expected_tree(&id)) {
                None => frames.push(frame.clone()),
                Some(Some(tree)) if tree == frame.tree_digest => frames.push(frame.clone()),
                Some(Some(_)) => {
                    misses.push(CacheMiss {
                        name: frame.name.clone(),
                        reason: "its tree is not that of noxide.sums".into(),
                    });
                }
                Some(None) => {
                    misses.push(CacheMiss { name: frame.name.clone(), reason: "it is not in noxide.sums".to_owned() });
                }
            }
        }
        (frames, misses)
    }
}

/// Whether a name of an entry is that of a package; the others are states.
fn is_package_entry(entry: &str) -> bool {
    EntryId::parse(entry).is_some_and(|id| id.kind.has_record())
}
