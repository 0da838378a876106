//! What is new here, sent elsewhere: packs first, then one manifest; old packs are written anew by rule.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde::Serialize;

use super::download::PackSegment;
use super::download::is_frame_intact;
use super::environment_entries::EnvironmentEntries;
use super::manifest::{CheckoutLocation, PackFrame, RemoteManifest};
use super::pack::PackWriter;
use super::repack::{RepackPlan, SECONDS_PER_DAY, is_unused, mark_superseded_states};
use super::snapshot::{RemoteSnapshot, RemoteStore, merge_manifests};
use crate::cache::http::RequestBody;
use crate::cache::store::{EntryId, EntryKind, Store, StoreEntry};

/// So many bytes, unpacked, are sent while the run goes on: few packs, and little left for its end.
const EARLY_UPLOAD_BYTES: u64 = 96 << 20;
/// A pack is closed when it is longer.
const TARGET_PACK_BYTES: u64 = 64 << 20;
/// Days after which it is written down that something is still wanted.
const LAST_USED_REFRESH_DAYS: i64 = 5;

/// What was sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct UploadReport {
    /// Names of the packages that are new there.
    pub packages: Vec<String>,
    /// How many others are: bytecode, environments, folders.
    pub other_entries: usize,
    /// Bytes that were sent.
    pub bytes: u64,
    /// Packs that were written.
    pub packs: usize,
    /// Why packs were written anew, where some were.
    pub repack_reason: Option<String>,
    /// Why nothing, or not all, was sent; in sentences.
    pub warnings: Vec<String>,
    /// How long it took.
    pub seconds: f64,
}

/// What is sent piece by piece while a run goes on. Nobody sees it before its manifest, which is written at the end.
#[derive(Debug, Default)]
pub(crate) struct IncrementalUpload {
    /// What is new and not yet sent.
    pending: BTreeSet<EntryId>,
    /// Bytes of it, unpacked.
    pending_bytes: u64,
    frames: Vec<PackFrame>,
    packs: BTreeMap<String, i64>,
    report: UploadReport,
}

/// A push with all it works on.
struct Uploader<'a> {
    remote: &'a RemoteStore,
    store: &'a Store,
    now: i64,
    upload: IncrementalUpload,
    environments: BTreeMap<String, BTreeSet<String>>,
}

impl IncrementalUpload {
    /// Takes what is new to a store elsewhere, and sends it once it is much.
    pub(crate) fn add_entries(
        self,
        remote: &RemoteStore,
        view: &RemoteSnapshot,
        store: &Store,
        wanted: &[EntryId],
        now: i64,
    ) -> Self {
        if !remote.backend.capabilities().can_write {
            return self;
        }
        let begun = Instant::now();
        let mut pushing = Uploader { remote, store, now, upload: self, environments: BTreeMap::new() };
        for entry in pushing.unsent_entries(view, wanted) {
            if pushing.upload.pending.insert(entry.id.clone()) {
                pushing.upload.pending_bytes += entry.meta.bytes;
            }
        }
        if pushing.upload.pending_bytes >= EARLY_UPLOAD_BYTES && pushing.upload.report.warnings.is_empty() {
            let ids: Vec<EntryId> = pushing.upload.pending.iter().cloned().collect();
            let mut entries = pushing.unsent_entries(view, &ids);
            match pushing.upload_entries(&mut entries, now / SECONDS_PER_DAY) {
                Ok(()) => (pushing.upload.pending, pushing.upload.pending_bytes) = (BTreeSet::new(), 0),
                Err(why) => pushing.upload.report.warnings.push(why),
            }
        }
        let mut push = pushing.upload;
        push.report.seconds += begun.elapsed().as_secs_f64();
        push
    }

    /// Sends the rest of what is new, and of `wanted`, and says in a manifest what lies where and what environments held.
    /// Nothing is written where nothing is new. `now` is in seconds since 1970.
    ///
    /// A failure is told in the report and costs no more than that nothing was sent.
    pub(crate) fn finish(
        self,
        remote: &RemoteStore,
        view: &RemoteSnapshot,
        store: &Store,
        wanted: &[EntryId],
        held: &EnvironmentEntries,
        now: i64,
    ) -> UploadReport {
        let begun = Instant::now();
        let mut pushing = Uploader { remote, store, now, upload: self, environments: held.to_manifest_map() };
        if let Err(why) = pushing.upload_remaining(view, wanted) {
            let report = &mut pushing.upload.report;
            report.packages.clear();
            if !report.warnings.contains(&why) {
                report.warnings.push(why);
            }
        }
        let mut report = pushing.upload.report;
        report.packages.sort();
        report.seconds += begun.elapsed().as_secs_f64();
        report
    }
}

impl RemoteStore {
    /// Sends at once what of `wanted` is in the store and not there.
    pub fn upload(
        &self,
        view: &RemoteSnapshot,
        store: &Store,
        wanted: &[EntryId],
        held: &EnvironmentEntries,
        now: i64,
    ) -> UploadReport {
        IncrementalUpload::default().finish(self, view, store, wanted, held, now)
    }
}

impl Uploader<'_> {
    /// Those that neither the store elsewhere has, nor this push has sent.
    fn unsent_entries(&mut self, view: &RemoteSnapshot, wanted: &[EntryId]) -> Vec<StoreEntry> {
        let mut entries: Vec<StoreEntry> = Vec::new();
        for id in wanted.iter().filter(|id| id.kind != EntryKind::UvCache) {
            match self.store.open_entry(id) {
                Ok(Some(entry))
                    if is_new_entry(view, &entry) && !is_entry_covered(self.upload.frames.iter(), &entry) =>
                {
                    entries.push(entry);
                }
                Ok(_) => {}
                Err(wrong) => self.upload.report.warnings.push(format!("{id}: {wrong}")),
            }
        }
        entries
    }

    fn upload_remaining(&mut self, view: &RemoteSnapshot, wanted: &[EntryId]) -> Result<(), String> {
        if !self.remote.backend.capabilities().can_write {
            return Err(format!("{} may not be written", self.remote.backend.display_name()));
        }
        let today = self.now / SECONDS_PER_DAY;
        let mut ids: BTreeSet<EntryId> = wanted.iter().cloned().collect();
        ids.append(&mut self.upload.pending);
        let ids: Vec<EntryId> = ids.into_iter().collect();
        let mut entries = self.unsent_entries(view, &ids);
        let names: BTreeSet<String> = ids.iter().map(ToString::to_string).collect();
        let stale =
            |frame: &PackFrame| names.contains(&frame.entry) && today - frame.last_used_day > LAST_USED_REFRESH_DAYS;
        let rewrite = RepackPlan::for_manifest(&view.own_manifest, &names, self.now);
        let known = |(name, held): (&String, &BTreeSet<String>)| view.environments.get(name) == Some(held);
        let same = self.environments.iter().all(known) && self.upload.frames.is_empty();
        if entries.is_empty() && rewrite.is_none() && same && !view.own_manifest.frames.iter().any(stale) {
            return Ok(());
        }
        // What a run beside us has written since we looked counts too.
        let mut troubles = Vec::new();
        let manifests = self.remote.load_manifests(&self.remote.scope.write_scope, &mut troubles);
        let manifests = manifests.map_err(|error| error.to_string())?;
        let own = merge_manifests(manifests.iter().map(|(_, manifest)| manifest).chain([&view.own_manifest]));
        entries.retain(|entry| !is_entry_covered(own.frames.iter(), entry));
        for (name, held) in &own.environments {
            self.environments.entry(name.clone()).or_insert_with(|| held.clone());
        }
        let dropped = rewrite.as_ref().map(|rewrite| rewrite.packs.clone()).unwrap_or_default();
        let (moved, kept): (Vec<PackFrame>, Vec<PackFrame>) =
            own.frames.iter().cloned().partition(|frame| dropped.contains(&frame.pack));
        self.upload.packs.extend(own.packs.into_iter().filter(|(key, _)| !dropped.contains(key)));
        self.upload.frames.extend(kept);
        self.repack_frames(moved.into_iter().filter(|frame| !is_unused(frame, today) || names.contains(&frame.entry)))?;
        self.upload_entries(&mut entries, today)?;
        for frame in self.upload.frames.iter_mut().filter(|frame| names.contains(&frame.entry)) {
            frame.last_used_day = today;
        }
        mark_superseded_states(&mut self.upload.frames);
        self.upload.report.repack_reason = rewrite.map(|rewrite| rewrite.reason);
        let replaces = manifests.into_iter().map(|(key, _)| key).chain(view.own_manifest_keys.iter().cloned());
        self.write_manifest(replaces.collect(), view.checkout_location(&self.remote.scope))?;
        self.delete_packs(&dropped);
        Ok(())
    }

    /// Sends entries in packs of a moderate size.
    fn upload_entries(&mut self, entries: &mut Vec<StoreEntry>, today: i64) -> Result<(), String> {
        entries.sort_by(|one, other| one.id.cmp(&other.id));
        let mut rest = entries.as_slice();
        while !rest.is_empty() {
            // Content shrinks to about a third.
            let mut count = 0;
            let mut bytes = 0;
            while count < rest.len() && (count == 0 || bytes + rest[count].meta.bytes <= TARGET_PACK_BYTES * 3) {
                bytes += rest[count].meta.bytes;
                count += 1;
            }
            let (now, later) = rest.split_at(count);
            let mut pack = PackWriter::new(self.store).map_err(|error| error.to_string())?;
            let left_out = pack.add_entries(now, today).map_err(|error| error.to_string())?;
            self.upload.report.warnings.extend(left_out);
            let is_state = |frame: &&PackFrame| frame.entry_id().is_some_and(|id| id.kind.is_versioned());
            let (states, packages): (Vec<&PackFrame>, Vec<&PackFrame>) = pack.frames.iter().partition(is_state);
            self.upload.report.other_entries += states.len();
            self.upload.report.packages.extend(packages.into_iter().map(|frame| frame.name.clone()));
            self.upload_pack(pack)?;
            rest = later;
        }
        Ok(())
    }

    /// Frames of packs that go, into new packs. One that cannot be read any more is let go.
    fn repack_frames(&mut self, frames: impl Iterator<Item = PackFrame>) -> Result<(), String> {
        let mut pack: Option<PackWriter> = None;
        for frame in frames {
            let range = frame.offset..frame.offset + frame.length;
            let segment = PackSegment { pack_key: frame.pack.clone(), range, frames: Vec::new() };
            let mut bytes = Vec::new();
            match self.remote.read_segment(&segment, &mut bytes) {
                Ok(_) if is_frame_intact(&frame, &bytes) => {}
                Ok(_) => continue,
                Err(why) => {
                    self.upload.report.warnings.push(format!("{}: {why}", frame.name));
                    continue;
                }
            }
            let open = match &mut pack {
                Some(open) => open,
                None => pack.insert(PackWriter::new(self.store).map_err(|error| error.to_string())?),
            };
            open.append_frame(frame, &mut bytes.as_slice()).map_err(|error| error.to_string())?;
            if open.length > TARGET_PACK_BYTES
                && let Some(full) = pack.take()
            {
                self.upload_pack(full)?;
            }
        }
        pack.map_or(Ok(()), |pack| self.upload_pack(pack))
    }

    fn upload_pack(&mut self, mut pack: PackWriter) -> Result<(), String> {
        if pack.frames.is_empty() {
            return Ok(());
        }
        let digest = pack.finish().map_err(|error| error.to_string())?;
        let key = self.remote.scope.pack_key(&digest);
        let payload = RequestBody::File { file: &pack.file, offset: 0, len: pack.length };
        self.remote.backend.put_object(&key, payload).map_err(|error| error.to_string())?;
        self.upload.report.bytes += pack.length;
        self.upload.report.packs += 1;
        self.upload.packs.insert(key.clone(), self.now);
        self.upload.frames.extend(pack.frames.into_iter().map(|frame| PackFrame { pack: key.clone(), ..frame }));
        Ok(())
    }

    fn write_manifest(&mut self, mut replaces: Vec<String>, lay: CheckoutLocation) -> Result<(), String> {
        replaces.sort();
        replaces.dedup();
        let frames = std::mem::take(&mut self.upload.frames);
        let mut manifest = RemoteManifest::new(frames, std::mem::take(&mut self.upload.packs), replaces.clone());
        manifest.environments = std::mem::take(&mut self.environments);
        manifest.checkout = lay;
        let bytes = manifest.to_bytes(self.remote.signing_key.as_deref()).map_err(|error| error.to_string())?;
        let key = self.remote.scope.manifest_key(self.now, blake3::hash(&bytes).to_hex().as_str());
        self.remote.backend.put_object(&key, RequestBody::Bytes(&bytes)).map_err(|error| error.to_string())?;
        self.upload.report.bytes += bytes.len() as u64;
        if self.remote.backend.capabilities().can_delete {
            for old in replaces.iter().filter(|old| **old != key) {
                // One that stays is replaced all the same.
                let _ = self.remote.backend.delete_object(old);
            }
        }
        Ok(())
    }

    /// Removes packs that were written anew, where that can be done.
    fn delete_packs(&self, packs: &BTreeSet<String>) {
        if self.remote.backend.capabilities().can_delete {
            for pack in packs {
                let _ = self.remote.backend.delete_object(pack);
            }
        }
    }
}

fn is_new_entry(view: &RemoteSnapshot, entry: &StoreEntry) -> bool {
    !is_entry_covered(view.frames.get(&entry.id.to_string()).into_iter().flatten(), entry)
}

/// Whether frames have an entry for every bucket that it fits.
fn is_entry_covered<'a>(mut frames: impl Iterator<Item = &'a PackFrame>, entry: &StoreEntry) -> bool {
    let name = entry.id.to_string();
    if entry.id.kind.is_versioned() {
        return frames.any(|frame| frame.entry == name);
    }
    let known: BTreeSet<&str> =
        frames.filter(|frame| frame.entry == name).flat_map(|frame| &frame.buckets).map(String::as_str).collect();
    let placings = entry.placements();
    placings.iter().all(|(placing, _)| known.contains(placing.bucket.as_str())) && !known.is_empty()
}
