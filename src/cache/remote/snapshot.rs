//! Snapshot of a remote cache: the manifests visible to this run's scopes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::checksums::WheelChecksums;
use super::environment_entries::normalize_environment_name;
use super::manifest::{CheckoutLocation, ManifestSigning, PackFrame, RemoteManifest};
use super::repack::SECONDS_PER_DAY;
use super::scope::CacheScopes;
use crate::cache::backend::{BackendError, CacheBackend};
use crate::cache::package_selection::{PackageSelection, SelectedPackage};
use crate::cache::store::{CacheMiss, EntryId, EntryKind, VersionedKey, plausible_version};
use crate::fs::Sha256Digest;
use crate::text::pluralize;

/// Maximum size of a manifest in bytes.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;
/// Maximum number of manifests read in one scope: concurrent runs write several, until a later run merges them.
const MAX_MANIFESTS_PER_SCOPE: usize = 8;
/// Maximum number of objects in one scope that are read as manifests: unusable ones do not count as manifests.
const MAX_MANIFEST_READS: usize = 64;
/// Maximum number of unusable manifests in one scope that are named in warnings.
const MAX_MANIFEST_WARNINGS: usize = 3;
/// Maximum size of all objects that are read for the manifests of one scope, in bytes.
const MAX_MANIFEST_READ_BYTES: usize = 64 << 20;

/// A remote cache.
#[derive(Debug)]
pub struct RemoteCache {
    /// The backend.
    pub backend: Box<dyn CacheBackend>,
    /// The scopes to read and write.
    pub scopes: CacheScopes,
    /// Key that manifests are signed with; if set, other manifests are ignored.
    pub signing_key: Option<String>,
    /// `noxide.sums` of the project; if set, only the wheels in it are used.
    pub checksums: Option<WheelChecksums>,
}

/// Content of the manifests of all scopes.
#[derive(Debug, Default)]
pub struct RemoteSnapshot {
    /// Frames by entry, in the order of the scopes.
    pub(super) frames: BTreeMap<String, Vec<PackFrame>>,
    /// The manifests of the written scope, merged.
    pub(super) write_scope_manifest: RemoteManifest,
    /// Keys of the manifests of the written scope.
    pub(super) write_scope_manifest_keys: Vec<String>,
    /// Entries in each session's environment, by the name of its directory; the first scope has priority.
    pub(super) environments: BTreeMap<String, BTreeSet<String>>,
    /// Location of the project as the newest manifest states it, of the first scope that has one.
    checkout: CheckoutLocation,
    /// Warnings about manifests that could not be read.
    pub warnings: Vec<String>,
}

impl RemoteCache {
    /// Reads the manifests of every scope. Unreadable manifests are reported and skipped.
    pub fn load_snapshot(&self) -> RemoteSnapshot {
        let mut snapshot = RemoteSnapshot::default();
        if !self.backend.capabilities().can_read {
            return snapshot;
        }
        for scope in &self.scopes.read_scopes {
            match self.load_manifests(scope, &mut snapshot.warnings) {
                Ok(manifests) => {
                    if *scope == self.scopes.write_scope {
                        snapshot.write_scope_manifest_keys = manifests.iter().map(|(key, _)| key.clone()).collect();
                        snapshot.write_scope_manifest = merge_manifests(manifests.iter().map(|(_, manifest)| manifest));
                    }
                    if snapshot.checkout == CheckoutLocation::default() {
                        snapshot.checkout =
                            manifests.first().map(|(_, newest)| newest.checkout.clone()).unwrap_or_default();
                    }
                    for (name, entries) in manifests.iter().flat_map(|(_, manifest)| &manifest.environments) {
                        snapshot.environments.entry(name.clone()).or_insert_with(|| entries.clone());
                    }
                    for frame in manifests.into_iter().flat_map(|(_, manifest)| manifest.frames) {
                        snapshot.frames.entry(frame.entry.clone()).or_default().push(frame);
                    }
                }
                Err(error) => {
                    snapshot.warnings.push(error.to_string());
                    break;
                }
            }
        }
        snapshot
    }

    /// Reads the manifests of one scope that no other replaces, the newest first.
    pub(super) fn load_manifests(
        &self,
        scope: &str,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<(String, RemoteManifest)>, BackendError> {
        let (prefix, now) = (self.scopes.manifest_prefix(scope), jiff::Timestamp::now().as_second());
        let mut found: Vec<(String, RemoteManifest)> = Vec::new();
        let mut replaced: BTreeSet<String> = BTreeSet::new();
        let mut listed = self.backend.list_objects(&prefix)?;
        if self.signing_key.is_some() {
            // Whoever has no key can write many manifests, but none with the mark of the key in its name.
            let all = listed.len();
            listed.retain(|object| self.scopes.has_signed_name(&object.key, self.signing_key.as_deref()));
            if listed.len() < all {
                let unsigned = pluralize(all - listed.len(), "manifest");
                warnings.push(format!("{prefix}: ignored {unsigned} not signed with NOXIDE_CACHE_SIGNING_KEY"));
            }
        }
        // Keys contain the time of writing.
        listed.sort_by_cached_key(|object| Reverse((plausible_time(&object.key, now), object.key.clone())));
        let (mut read_bytes, mut unusable) = (0, 0);
        for object in listed.into_iter().take(MAX_MANIFEST_READS) {
            if found.len() >= MAX_MANIFESTS_PER_SCOPE || read_bytes > MAX_MANIFEST_READ_BYTES {
                break;
            }
            if replaced.contains(&object.key) {
                continue;
            }
            let Some(bytes) = self.backend.get_range(&object.key, 0..MAX_MANIFEST_BYTES)? else { continue };
            read_bytes += bytes.len();
            let name = CacheScopes::signed_part(&object.key);
            let signing = self.signing_key.as_deref().map(|key| ManifestSigning { key, name });
            match RemoteManifest::from_bytes(&bytes, signing) {
                Ok(mut manifest) => {
                    // A manifest describes packs of its own scope. If it named others, an attacker could have them read, moved or
                    // deleted.
                    manifest.frames.retain(|frame| self.scopes.is_pack_of(scope, &frame.pack));
                    manifest.packs.retain(|pack, _| self.scopes.is_pack_of(scope, pack));
                    replaced.extend(manifest.replaces.iter().cloned());
                    found.push((object.key, manifest));
                }
                Err(error) => {
                    unusable += 1;
                    if unusable <= MAX_MANIFEST_WARNINGS {
                        warnings.push(format!("{}: {error}", object.key));
                    }
                }
            }
        }
        if unusable > MAX_MANIFEST_WARNINGS {
            let others = pluralize(unusable - MAX_MANIFEST_WARNINGS, "other manifest");
            warnings.push(format!("{prefix}: {others} cannot be used"));
        }
        found.retain(|(key, _)| !replaced.contains(key));
        Ok(found)
    }
}

/// Returns the time in the key of a manifest, or 0 if it is more than a day in the future: the clock of the machine that
/// wrote it was wrong, and the manifest would remain the newest.
fn plausible_time(key: &str, now: i64) -> i64 {
    let name = key.rsplit('/').next().unwrap_or_default();
    let time = name.split('-').nth(1).and_then(|time| time.parse().ok()).unwrap_or(0);
    if time > now.saturating_add(SECONDS_PER_DAY) { 0 } else { time }
}

/// Merges manifests; if several contain the same frame, the first has priority.
pub(super) fn merge_manifests<'a>(manifests: impl IntoIterator<Item = &'a RemoteManifest>) -> RemoteManifest {
    let mut frames: BTreeMap<(String, Vec<String>), PackFrame> = BTreeMap::new();
    let mut packs = BTreeMap::new();
    let mut environments: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for manifest in manifests {
        for (name, entries) in &manifest.environments {
            environments.entry(name.clone()).or_insert_with(|| entries.clone());
        }
        packs.extend(manifest.packs.clone());
        for frame in &manifest.frames {
            let known = frames.entry((frame.entry.clone(), frame.buckets.clone())).or_insert_with(|| frame.clone());
            known.last_used_day = known.last_used_day.max(frame.last_used_day);
        }
    }
    let mut merged = RemoteManifest::new(frames.into_values().collect(), packs, Vec::new());
    merged.environments = environments;
    merged
}

impl RemoteSnapshot {
    /// Returns the number of packages.
    pub fn package_count(&self) -> usize {
        self.frames.keys().filter(|entry| is_package_entry(entry)).count()
    }

    /// Returns whether there are no packages.
    pub fn is_empty(&self) -> bool {
        self.package_count() == 0
    }

    /// Returns the packages that an environment contained, if that is known.
    pub(crate) fn environment_packages(&self, environment: &str) -> Option<Vec<SelectedPackage>> {
        let name = normalize_environment_name(environment);
        let entries = self.environments.get(&name)?;
        Some(entries.iter().filter_map(|entry| self.package_for_entry(entry)).collect())
    }

    /// Returns the location of the project in this run.
    pub(crate) fn checkout_location(&self, scopes: &CacheScopes) -> CheckoutLocation {
        self.checkout.for_run(&scopes.checkout_id, &scopes.ci_run_id)
    }

    /// Returns the packages that belong to no environment, such as build requirements.
    pub(crate) fn unassigned_packages(&self) -> Vec<SelectedPackage> {
        let entries: BTreeSet<&String> = self.environments.values().flatten().collect();
        let others = self.frames.keys().filter(|entry| !entries.contains(entry));
        others.filter_map(|entry| self.package_for_entry(entry)).collect()
    }

    /// Returns all packages.
    pub(crate) fn all_packages(&self) -> Vec<SelectedPackage> {
        self.frames.keys().filter_map(|entry| self.package_for_entry(entry)).collect()
    }

    fn package_for_entry(&self, entry: &str) -> Option<SelectedPackage> {
        let id = EntryId::parse(entry).filter(|id| id.kind.has_wheel_record())?;
        let digest = Sha256Digest::from_hex(id.id().get(..64)?)?;
        let name = self.frames.get(entry)?.first()?.name.clone();
        Some(SelectedPackage { name, digests: BTreeSet::from([digest]) })
    }

    /// Returns the newest version of each key for which `is_stored` returns false.
    pub(crate) fn newest_versions(
        &self,
        keys: &[VersionedKey],
        is_stored: &dyn Fn(&VersionedKey) -> bool,
    ) -> Vec<PackFrame> {
        keys.iter()
            .filter(|key| !is_stored(key))
            .filter_map(|key| key.entry_prefixes().find_map(|prefix| self.newest_version(&prefix)))
            .collect()
    }

    fn newest_version(&self, prefix: &str) -> Option<PackFrame> {
        let from = self.frames.range(prefix.to_owned()..);
        let all = from.take_while(|(entry, _)| entry.starts_with(prefix)).filter_map(|(_, frames)| frames.first());
        let now = jiff::Timestamp::now().as_nanosecond();
        let time = |frame: &&PackFrame| {
            frame.entry_id().and_then(|id| id.split_version().map(|(_, time)| plausible_version(time, now)))
        };
        all.max_by_key(time).cloned()
    }

    /// Returns the keys of the bytecode of packages, for interpreters with this tag.
    pub(crate) fn bytecode_keys(&self, selection: &[SelectedPackage], tag: &str) -> Vec<VersionedKey> {
        let digests = selection.iter().flat_map(|package| &package.digests);
        let prefixes = digests
            .flat_map(|digest| [format!("wheel/{digest}"), format!("{}/{digest}.", EntryKind::BuiltWheel.as_str())]);
        let frames = prefixes.flat_map(|prefix| {
            self.frames.range(prefix.clone()..).take_while(move |(entry, _)| entry.starts_with(&prefix))
        });
        let trees: BTreeSet<&str> =
            frames.flat_map(|(_, frames)| frames).map(|frame| frame.tree_digest.as_str()).collect();
        trees.into_iter().map(|tree| VersionedKey::for_bytecode(tree, tag)).collect()
    }

    /// Selects the frames to download: selected packages for which `is_stored` returns false, for a uv cache with these
    /// buckets. Also returns the packages that `noxide.sums` excludes.
    pub fn select_frames(
        &self,
        selection: &PackageSelection,
        buckets: &[&str],
        checksums: Option<&WheelChecksums>,
        is_stored: &dyn Fn(&EntryId) -> bool,
    ) -> (Vec<PackFrame>, Vec<CacheMiss>) {
        let mut frames = Vec::new();
        let mut misses = Vec::new();
        let digests: Option<BTreeSet<String>> = match selection {
            PackageSelection::All => None,
            PackageSelection::Only(packages) => {
                Some(packages.iter().flat_map(|package| &package.digests).map(ToString::to_string).collect())
            }
        };
        for entry_frames in self.frames.values() {
            let fits = |frame: &&PackFrame| frame.buckets.iter().any(|bucket| buckets.contains(&bucket.as_str()));
            let Some(frame) = entry_frames.iter().find(fits) else { continue };
            let Some(id) = frame.entry_id().filter(|id| matches!(id.kind, EntryKind::Wheel | EntryKind::BuiltWheel))
            else {
                continue;
            };
            let digest = id.id().get(..64).unwrap_or_default();
            let is_selected = digests.as_ref().is_none_or(|digests| digests.contains(digest));
            if !is_selected || is_stored(&id) {
                continue;
            }
            match checksums.map(|checksums| checksums.expected_tree(&id)) {
                None => frames.push(frame.clone()),
                Some(Some(tree)) if tree == frame.tree_digest => frames.push(frame.clone()),
                Some(Some(_)) => {
                    misses.push(CacheMiss {
                        name: frame.name.clone(),
                        reason: "its content does not match noxide.sums".into(),
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

/// Returns whether an entry is a package; other entries have versions.
fn is_package_entry(entry: &str) -> bool {
    EntryId::parse(entry).is_some_and(|id| id.kind.has_wheel_record())
}
