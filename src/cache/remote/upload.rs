//! Uploads to the remote cache: packs first, then one manifest; old packs are rewritten.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Instant;

use serde::Serialize;
use thiserror::Error;

use crate::text::pluralize;

use super::download::PackSegment;
use super::download::is_frame_intact;
use super::environment_entries::EnvironmentEntries;
use super::manifest::{CheckoutLocation, ManifestSigning, PackFrame, RemoteManifest};
use super::pack::PackWriter;
use super::repack::{RepackPlan, SECONDS_PER_DAY, is_unused, mark_superseded_versions};
use super::snapshot::{RemoteCache, RemoteSnapshot, merge_manifests};
use crate::cache::backend::BackendError;
use crate::cache::http::RequestBody;
use crate::cache::store::{EntryId, EntryKind, Store, StoreEntry, StoreError};

/// Uncompressed size of pending entries, in bytes, at which they are uploaded during the run: large enough for few packs,
/// small enough to leave little for the end of the run.
const EARLY_UPLOAD_BYTES: u64 = 96 << 20;
/// Length at which a pack is finished, in bytes.
const TARGET_PACK_BYTES: u64 = 64 << 20;
/// Moving a frame to a new pack copies it in memory; larger ones are dropped and saved by a later run.
const MAX_REPACKED_BYTES: u64 = 1 << 30;
/// Maximum size of all frames that one repack copies; the others are dropped from the remote cache.
const MAX_REPACK_TOTAL_BYTES: u64 = 4 << 30;
/// Days after which the last use of a frame is updated.
const LAST_USED_REFRESH_DAYS: i64 = 5;

/// Result of an upload.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct UploadReport {
    /// Names of the uploaded packages.
    pub packages: Vec<String>,
    /// Number of other uploaded entries: bytecode, environments, directories.
    pub other_entries: usize,
    /// Bytes uploaded.
    pub bytes: u64,
    /// Number of packs written.
    pub packs: usize,
    /// Why packs were rewritten, if some were.
    pub repack_reason: Option<String>,
    /// Why not everything was uploaded.
    pub warnings: Vec<String>,
    /// Duration in seconds.
    pub seconds: f64,
}

/// Why an upload stopped.
#[derive(Debug, Error)]
enum UploadError {
    #[error("{0} is read-only")]
    ReadOnly(String),
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// An upload in several steps during a run. It becomes visible with the manifest, which is written at the end.
#[derive(Debug, Default)]
pub(crate) struct IncrementalUpload {
    /// New entries that are not uploaded yet.
    pending: BTreeSet<EntryId>,
    /// Their uncompressed size in bytes.
    pending_bytes: u64,
    frames: Vec<PackFrame>,
    packs: BTreeMap<String, i64>,
    report: UploadReport,
}

/// An upload with its source and target.
struct Uploader<'a> {
    remote: &'a RemoteCache,
    store: &'a Store,
    now: i64,
    upload: IncrementalUpload,
    environments: BTreeMap<String, BTreeSet<String>>,
}

impl IncrementalUpload {
    /// Adds new entries, and uploads them once there are enough.
    pub(crate) fn add_entries(
        self,
        remote: &RemoteCache,
        snapshot: &RemoteSnapshot,
        store: &Store,
        ids: &[EntryId],
        now: i64,
    ) -> Self {
        if !remote.backend.capabilities().can_write {
            return self;
        }
        let started = Instant::now();
        let mut uploader = Uploader { remote, store, now, upload: self, environments: BTreeMap::new() };
        for entry in uploader.new_entries(snapshot, ids) {
            if uploader.upload.pending.insert(entry.id.clone()) {
                uploader.upload.pending_bytes += entry.meta.bytes;
            }
        }
        if uploader.upload.pending_bytes >= EARLY_UPLOAD_BYTES && uploader.upload.report.warnings.is_empty() {
            let ids: Vec<EntryId> = uploader.upload.pending.iter().cloned().collect();
            let mut entries = uploader.new_entries(snapshot, &ids);
            match uploader.upload_entries(&mut entries, now / SECONDS_PER_DAY) {
                Ok(()) => (uploader.upload.pending, uploader.upload.pending_bytes) = (BTreeSet::new(), 0),
                Err(error) => uploader.upload.report.warnings.push(error.to_string()),
            }
        }
        let mut upload = uploader.upload;
        upload.report.seconds += started.elapsed().as_secs_f64();
        upload
    }

    /// Uploads the remaining new entries among `ids`, and writes the manifest with all frames and environments. Writes
    /// nothing if nothing is new. `now` is in seconds since 1970.
    ///
    /// An error is reported as a warning.
    pub(crate) fn finish(
        self,
        remote: &RemoteCache,
        snapshot: &RemoteSnapshot,
        store: &Store,
        ids: &[EntryId],
        environments: &EnvironmentEntries,
        now: i64,
    ) -> UploadReport {
        let started = Instant::now();
        let mut uploader = Uploader { remote, store, now, upload: self, environments: environments.to_manifest_map() };
        if let Err(error) = uploader.upload_remaining(snapshot, ids) {
            let report = &mut uploader.upload.report;
            report.packages.clear();
            let warning = error.to_string();
            if !report.warnings.contains(&warning) {
                report.warnings.push(warning);
            }
        }
        let mut report = uploader.upload.report;
        report.packages.sort();
        report.seconds += started.elapsed().as_secs_f64();
        report
    }
}

impl RemoteCache {
    /// Uploads the entries among `ids` that are in the store and not in the remote cache.
    pub fn upload(
        &self,
        snapshot: &RemoteSnapshot,
        store: &Store,
        ids: &[EntryId],
        environments: &EnvironmentEntries,
        now: i64,
    ) -> UploadReport {
        IncrementalUpload::default().finish(self, snapshot, store, ids, environments, now)
    }
}

impl Uploader<'_> {
    /// Returns the entries that are neither in the remote cache nor uploaded by this run.
    fn new_entries(&mut self, snapshot: &RemoteSnapshot, ids: &[EntryId]) -> Vec<StoreEntry> {
        let mut entries: Vec<StoreEntry> = Vec::new();
        let checksums = self.remote.checksums.as_ref();
        let is_unexpected = |entry: &StoreEntry| {
            let expected = checksums.and_then(|checksums| checksums.expected_tree(&entry.id));
            expected.is_some_and(|expected| expected != entry.meta.tree_digest)
        };
        for id in ids.iter().filter(|id| id.kind != EntryKind::UvCache) {
            match self.store.open_entry(id) {
                Ok(Some(entry)) if is_unexpected(&entry) => {}
                Ok(Some(entry))
                    if is_new_entry(snapshot, &entry) && !is_entry_covered(self.upload.frames.iter(), &entry) =>
                {
                    entries.push(entry);
                }
                Ok(_) => {}
                Err(damage) => self.upload.report.warnings.push(format!("{id}: {damage}")),
            }
        }
        entries
    }

    fn upload_remaining(&mut self, snapshot: &RemoteSnapshot, ids: &[EntryId]) -> Result<(), UploadError> {
        if !self.remote.backend.capabilities().can_write {
            return Err(UploadError::ReadOnly(self.remote.backend.display_name()));
        }
        let today = self.now / SECONDS_PER_DAY;
        let mut ids: BTreeSet<EntryId> = ids.iter().cloned().collect();
        ids.append(&mut self.upload.pending);
        let ids: Vec<EntryId> = ids.into_iter().collect();
        let mut entries = self.new_entries(snapshot, &ids);
        let names: BTreeSet<String> = ids.iter().map(ToString::to_string).collect();
        let needs_refresh = |frame: &PackFrame| {
            names.contains(&frame.entry)
                && today.saturating_sub(frame.last_used_day).saturating_abs() > LAST_USED_REFRESH_DAYS
        };
        let repack = RepackPlan::for_manifest(&snapshot.write_scope_manifest, &names, self.now);
        let is_known = |(name, entries): (&String, &BTreeSet<String>)| snapshot.environments.get(name) == Some(entries);
        let is_unchanged = self.environments.iter().all(is_known) && self.upload.frames.is_empty();
        if entries.is_empty()
            && repack.is_none()
            && is_unchanged
            && !snapshot.write_scope_manifest.frames.iter().any(needs_refresh)
        {
            return Ok(());
        }
        // Include what concurrent runs have written since the snapshot.
        let mut warnings = Vec::new();
        let manifests = self.remote.load_manifests(&self.remote.scopes.write_scope, &mut warnings)?;
        let own =
            merge_manifests(manifests.iter().map(|(_, manifest)| manifest).chain([&snapshot.write_scope_manifest]));
        entries.retain(|entry| !is_entry_covered(own.frames.iter(), entry));
        for (name, contained) in &own.environments {
            self.environments.entry(name.clone()).or_insert_with(|| contained.clone());
        }
        let replaced_packs = repack.as_ref().map(|repack| repack.packs.clone()).unwrap_or_default();
        let (moved_frames, kept_frames): (Vec<PackFrame>, Vec<PackFrame>) =
            own.frames.iter().cloned().partition(|frame| replaced_packs.contains(&frame.pack));
        self.upload.packs.extend(own.packs.into_iter().filter(|(key, _)| !replaced_packs.contains(key)));
        self.upload.frames.extend(kept_frames);
        let is_used = |frame: &PackFrame| !is_unused(frame, today) || names.contains(&frame.entry);
        self.repack_frames(moved_frames.into_iter().filter(is_used))?;
        self.upload_entries(&mut entries, today)?;
        for frame in self.upload.frames.iter_mut().filter(|frame| names.contains(&frame.entry)) {
            frame.last_used_day = today;
        }
        mark_superseded_versions(&mut self.upload.frames);
        self.upload.report.repack_reason = repack.map(|repack| repack.reason);
        let replaces =
            manifests.into_iter().map(|(key, _)| key).chain(snapshot.write_scope_manifest_keys.iter().cloned());
        self.write_manifest(replaces.collect(), snapshot.checkout_location(&self.remote.scopes))?;
        self.delete_packs(&replaced_packs);
        Ok(())
    }

    /// Uploads entries in packs of moderate size.
    fn upload_entries(&mut self, entries: &mut Vec<StoreEntry>, today: i64) -> Result<(), UploadError> {
        entries.sort_by(|one, other| one.id.cmp(&other.id));
        let mut remaining = entries.as_slice();
        while !remaining.is_empty() {
            // Entries are compressed to about a third.
            let mut count = 0;
            let mut bytes = 0;
            while count < remaining.len()
                && (count == 0 || bytes + remaining[count].meta.bytes <= TARGET_PACK_BYTES * 3)
            {
                bytes += remaining[count].meta.bytes;
                count += 1;
            }
            let (batch, later) = remaining.split_at(count);
            let mut pack = PackWriter::new(self.store)?;
            let unreadable = pack.add_entries(batch, today)?;
            self.upload.report.warnings.extend(unreadable);
            let is_resaved = |frame: &&PackFrame| frame.entry_id().is_some_and(|id| id.kind.is_resaved());
            let (resaved, packages): (Vec<&PackFrame>, Vec<&PackFrame>) = pack.frames.iter().partition(is_resaved);
            self.upload.report.other_entries += resaved.len();
            self.upload.report.packages.extend(packages.into_iter().map(|frame| frame.name.clone()));
            self.upload_pack(pack)?;
            remaining = later;
        }
        Ok(())
    }

    /// Copies frames of replaced packs into new packs. Unreadable frames are dropped.
    fn repack_frames(&mut self, frames: impl Iterator<Item = PackFrame>) -> Result<(), UploadError> {
        let mut pack: Option<PackWriter> = None;
        let (frames, dropped) = select_repacked_frames(frames.collect(), MAX_REPACK_TOTAL_BYTES);
        if dropped > 0 {
            let dropped = pluralize(dropped, "entry");
            self.upload.report.warnings.push(format!("a repack dropped {dropped}: they overlap or exceed its limit"));
        }
        for frame in frames {
            let range = frame.offset..frame.offset + frame.length;
            let segment = PackSegment { pack_key: frame.pack.clone(), range, frames: vec![frame.clone()] };
            let mut bytes = Vec::new();
            match self.remote.read_segment(&segment, &mut bytes, MAX_REPACKED_BYTES) {
                Ok(_) if is_frame_intact(&frame, &bytes) => {}
                Ok(_) => continue,
                Err(error) => {
                    self.upload.report.warnings.push(format!("{}: {error}", frame.name));
                    continue;
                }
            }
            let current_pack = match &mut pack {
                Some(current_pack) => current_pack,
                None => pack.insert(PackWriter::new(self.store)?),
            };
            current_pack.append_frame(frame, &mut bytes.as_slice())?;
            if current_pack.length > TARGET_PACK_BYTES
                && let Some(full) = pack.take()
            {
                self.upload_pack(full)?;
            }
        }
        pack.map_or(Ok(()), |pack| self.upload_pack(pack))
    }

    fn upload_pack(&mut self, mut pack: PackWriter) -> Result<(), UploadError> {
        if pack.frames.is_empty() {
            return Ok(());
        }
        let digest = pack.finish()?;
        let key = self.remote.scopes.pack_key(&digest);
        let body = RequestBody::File { file: &pack.file, offset: 0, len: pack.length };
        self.remote.backend.put_object(&key, body)?;
        self.upload.report.bytes += pack.length;
        self.upload.report.packs += 1;
        self.upload.packs.insert(key.clone(), self.now);
        self.upload.frames.extend(pack.frames.into_iter().map(|frame| PackFrame { pack: key.clone(), ..frame }));
        Ok(())
    }

    fn write_manifest(&mut self, mut replaces: Vec<String>, checkout: CheckoutLocation) -> Result<(), UploadError> {
        replaces.sort();
        replaces.dedup();
        let frames = std::mem::take(&mut self.upload.frames);
        let mut manifest = RemoteManifest::new(frames, std::mem::take(&mut self.upload.packs), replaces.clone());
        manifest.environments = std::mem::take(&mut self.environments);
        manifest.checkout = checkout;
        let (name, signing_key) = (self.remote.scopes.manifest_name(self.now), self.remote.signing_key.as_deref());
        let bytes = manifest.to_bytes(signing_key.map(|key| ManifestSigning { key, name: &name }))?;
        let key = self.remote.scopes.manifest_key(self.now, blake3::hash(&bytes).to_hex().as_str(), signing_key);
        self.remote.backend.put_object(&key, RequestBody::Bytes(&bytes))?;
        self.upload.report.bytes += bytes.len() as u64;
        if self.remote.backend.capabilities().can_delete {
            for old in replaces.iter().filter(|old| **old != key) {
                // A replaced manifest that cannot be deleted is ignored by readers.
                let _ = self.remote.backend.delete_object(old);
            }
        }
        Ok(())
    }

    /// Deletes rewritten packs, if the backend supports deletion.
    fn delete_packs(&self, packs: &BTreeSet<String>) {
        if self.remote.backend.capabilities().can_delete {
            for pack in packs {
                let _ = self.remote.backend.delete_object(pack);
            }
        }
    }
}

fn is_new_entry(snapshot: &RemoteSnapshot, entry: &StoreEntry) -> bool {
    !is_entry_covered(snapshot.frames.get(&entry.id.to_string()).into_iter().flatten(), entry)
}

/// Returns whether the frames contain an entry for every bucket of uv's cache that it fits.
fn is_entry_covered<'a>(mut frames: impl Iterator<Item = &'a PackFrame>, entry: &StoreEntry) -> bool {
    let name = entry.id.to_string();
    if entry.id.kind.is_resaved() {
        return frames.any(|frame| frame.entry == name);
    }
    let covered_buckets: BTreeSet<&str> =
        frames.filter(|frame| frame.entry == name).flat_map(|frame| &frame.buckets).map(String::as_str).collect();
    let placements = entry.placements();
    placements.iter().all(|(placement, _)| covered_buckets.contains(placement.bucket())) && !covered_buckets.is_empty()
}

/// Returns the frames that a repack copies, the most recently used first, and the number of those that it drops: whoever
/// writes a manifest can name the same bytes many times.
fn select_repacked_frames(mut frames: Vec<PackFrame>, max_bytes: u64) -> (Vec<PackFrame>, usize) {
    let count = frames.len();
    frames.sort_by(|one, other| (&one.pack, one.offset).cmp(&(&other.pack, other.offset)));
    let mut end: Option<(String, u64)> = None;
    frames.retain(|frame| {
        let overlaps = end.as_ref().is_some_and(|(pack, end)| *pack == frame.pack && frame.offset < *end);
        if !overlaps {
            end = Some((frame.pack.clone(), frame.offset.saturating_add(frame.length)));
        }
        !overlaps
    });
    frames.sort_by_key(|frame| std::cmp::Reverse(frame.last_used_day));
    let mut bytes = 0_u64;
    frames.retain(|frame| {
        bytes = bytes.saturating_add(frame.length);
        bytes <= max_bytes
    });
    let dropped = count - frames.len();
    (frames, dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repack_copies_each_byte_once_and_has_a_limit() {
        let frame =
            |pack, offset, length, used| PackFrame { last_used_day: used, ..PackFrame::at(pack, offset, length) };
        let frames = || vec![frame("a", 0, 10, 1), frame("a", 5, 10, 9), frame("a", 10, 5, 2), frame("b", 0, 10, 3)];
        let names = |max_bytes: u64| {
            let (frames, dropped) = select_repacked_frames(frames(), max_bytes);
            (frames.into_iter().map(|frame| frame.name).collect::<Vec<_>>(), dropped)
        };
        assert_eq!(names(100), (vec!["b0".to_owned(), "a10".to_owned(), "a0".to_owned()], 1));
        assert_eq!(names(15), (vec!["b0".to_owned(), "a10".to_owned()], 2));
    }
}
