//! What is new here, sent elsewhere: packs first, then one manifest; old packs are written anew by rule.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde::Serialize;

use super::bring::checked;
use super::bring_plan::Segment;
use super::environments::Environments;
use super::manifest::{Frame, Lay, Manifest};
use super::pack::Pack;
use super::rewrite::{DAY, Rewrite, is_dead, outdate};
use super::view::{Remote, View, together};
use crate::cache::http::Payload;
use crate::cache::store::{Entry, EntryId, Kind, Store};

/// So many bytes, unpacked, are sent while the run goes on: few packs, and little left for its end.
const EARLY: u64 = 96 << 20;
/// A pack is closed when it is longer.
const PACK: u64 = 64 << 20;
/// Days after which it is written down that something is still wanted.
const STALE: i64 = 5;

/// What was sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PushReport {
    /// Names of the packages that are new there.
    pub entries: Vec<String>,
    /// How many others are: bytecode, environments, folders.
    pub others: usize,
    /// Bytes that were sent.
    pub bytes: u64,
    /// Packs that were written.
    pub packs: usize,
    /// Why packs were written anew, where some were.
    pub rewrite: Option<String>,
    /// Why nothing, or not all, was sent; in sentences.
    pub troubles: Vec<String>,
    /// How long it took.
    pub seconds: f64,
}

/// What is sent piece by piece while a run goes on. Nobody sees it before its manifest, which is written at the end.
#[derive(Debug, Default)]
pub struct Push {
    /// What is new and not yet sent.
    waiting: BTreeSet<EntryId>,
    /// Bytes of it, unpacked.
    bytes: u64,
    frames: Vec<Frame>,
    packs: BTreeMap<String, i64>,
    report: PushReport,
}

/// A push with all it works on.
struct Pushing<'a> {
    remote: &'a Remote,
    store: &'a Store,
    now: i64,
    push: Push,
    environments: BTreeMap<String, BTreeSet<String>>,
}

impl Push {
    /// Takes what is new to a store elsewhere, and sends it once it is much.
    pub fn add(self, remote: &Remote, view: &View, store: &Store, wanted: &[EntryId], now: i64) -> Self {
        if !remote.backend.abilities().writes {
            return self;
        }
        let begun = Instant::now();
        let mut pushing = Pushing { remote, store, now, push: self, environments: BTreeMap::new() };
        for entry in pushing.unsent(view, wanted) {
            if pushing.push.waiting.insert(entry.id.clone()) {
                pushing.push.bytes += entry.head.bytes;
            }
        }
        if pushing.push.bytes >= EARLY && pushing.push.report.troubles.is_empty() {
            let ids: Vec<EntryId> = pushing.push.waiting.iter().cloned().collect();
            let mut entries = pushing.unsent(view, &ids);
            match pushing.add(&mut entries, now / DAY) {
                Ok(()) => (pushing.push.waiting, pushing.push.bytes) = (BTreeSet::new(), 0),
                Err(why) => pushing.push.report.troubles.push(why),
            }
        }
        let mut push = pushing.push;
        push.report.seconds += begun.elapsed().as_secs_f64();
        push
    }

    /// Sends the rest of what is new, and of `wanted`, and says in a manifest what lies where and what environments held.
    /// Nothing is written where nothing is new. `now` is in seconds since 1970.
    ///
    /// A failure is told in the report and costs no more than that nothing was sent.
    pub fn finish(
        self,
        remote: &Remote,
        view: &View,
        store: &Store,
        wanted: &[EntryId],
        held: &Environments,
        now: i64,
    ) -> PushReport {
        let begun = Instant::now();
        let mut pushing = Pushing { remote, store, now, push: self, environments: held.names() };
        if let Err(why) = pushing.all(view, wanted) {
            let report = &mut pushing.push.report;
            report.entries.clear();
            if !report.troubles.contains(&why) {
                report.troubles.push(why);
            }
        }
        let mut report = pushing.push.report;
        report.entries.sort();
        report.seconds += begun.elapsed().as_secs_f64();
        report
    }
}

impl Remote {
    /// Sends at once what of `wanted` is in the store and not there.
    pub fn push(&self, view: &View, store: &Store, wanted: &[EntryId], held: &Environments, now: i64) -> PushReport {
        Push::default().finish(self, view, store, wanted, held, now)
    }
}

impl Pushing<'_> {
    /// Those that neither the store elsewhere has, nor this push has sent.
    fn unsent(&mut self, view: &View, wanted: &[EntryId]) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for id in wanted.iter().filter(|id| id.kind != Kind::Bucket) {
            match self.store.entry(id) {
                Ok(Some(entry)) if is_new(view, &entry) && !covers(self.push.frames.iter(), &entry) => {
                    entries.push(entry);
                }
                Ok(_) => {}
                Err(wrong) => self.push.report.troubles.push(format!("{id}: {wrong}")),
            }
        }
        entries
    }

    fn all(&mut self, view: &View, wanted: &[EntryId]) -> Result<(), String> {
        if !self.remote.backend.abilities().writes {
            return Err(format!("{} may not be written", self.remote.backend.title()));
        }
        let today = self.now / DAY;
        let mut ids: BTreeSet<EntryId> = wanted.iter().cloned().collect();
        ids.append(&mut self.push.waiting);
        let ids: Vec<EntryId> = ids.into_iter().collect();
        let mut entries = self.unsent(view, &ids);
        let names: BTreeSet<String> = ids.iter().map(ToString::to_string).collect();
        let stale = |frame: &Frame| names.contains(&frame.entry) && today - frame.used > STALE;
        let rewrite = Rewrite::of(&view.own, &names, self.now);
        let known = |(name, held): (&String, &BTreeSet<String>)| view.environments.get(name) == Some(held);
        let same = self.environments.iter().all(known) && self.push.frames.is_empty();
        if entries.is_empty() && rewrite.is_none() && same && !view.own.frames.iter().any(stale) {
            return Ok(());
        }
        // What a run beside us has written since we looked counts too.
        let mut troubles = Vec::new();
        let manifests = self.remote.manifests(&self.remote.scope.own, &mut troubles);
        let manifests = manifests.map_err(|error| error.to_string())?;
        let own = together(manifests.iter().map(|(_, manifest)| manifest).chain([&view.own]));
        entries.retain(|entry| !covers(own.frames.iter(), entry));
        for (name, held) in &own.environments {
            self.environments.entry(name.clone()).or_insert_with(|| held.clone());
        }
        let dropped = rewrite.as_ref().map(|rewrite| rewrite.packs.clone()).unwrap_or_default();
        let (moved, kept): (Vec<Frame>, Vec<Frame>) =
            own.frames.iter().cloned().partition(|frame| dropped.contains(&frame.pack));
        self.push.packs.extend(own.packs.into_iter().filter(|(key, _)| !dropped.contains(key)));
        self.push.frames.extend(kept);
        self.move_over(moved.into_iter().filter(|frame| !is_dead(frame, today) || names.contains(&frame.entry)))?;
        self.add(&mut entries, today)?;
        for frame in self.push.frames.iter_mut().filter(|frame| names.contains(&frame.entry)) {
            frame.used = today;
        }
        outdate(&mut self.push.frames);
        self.push.report.rewrite = rewrite.map(|rewrite| rewrite.why);
        let replaces = manifests.into_iter().map(|(key, _)| key).chain(view.own_keys.iter().cloned());
        self.write_manifest(replaces.collect(), view.lay(&self.remote.scope))?;
        self.sweep(&dropped);
        Ok(())
    }

    /// Sends entries in packs of a moderate size.
    fn add(&mut self, entries: &mut Vec<Entry>, today: i64) -> Result<(), String> {
        entries.sort_by(|one, other| one.id.cmp(&other.id));
        let mut rest = entries.as_slice();
        while !rest.is_empty() {
            // Content shrinks to about a third.
            let mut count = 0;
            let mut bytes = 0;
            while count < rest.len() && (count == 0 || bytes + rest[count].head.bytes <= PACK * 3) {
                bytes += rest[count].head.bytes;
                count += 1;
            }
            let (now, later) = rest.split_at(count);
            let mut pack = Pack::new(self.store).map_err(|error| error.to_string())?;
            let left_out = pack.add(now, today).map_err(|error| error.to_string())?;
            self.push.report.troubles.extend(left_out);
            let is_state = |frame: &&Frame| frame.id().is_some_and(|id| id.kind.is_state());
            let (states, packages): (Vec<&Frame>, Vec<&Frame>) = pack.frames.iter().partition(is_state);
            self.push.report.others += states.len();
            self.push.report.entries.extend(packages.into_iter().map(|frame| frame.name.clone()));
            self.send(pack)?;
            rest = later;
        }
        Ok(())
    }

    /// Frames of packs that go, into new packs. One that cannot be read any more is let go.
    fn move_over(&mut self, frames: impl Iterator<Item = Frame>) -> Result<(), String> {
        let mut pack: Option<Pack> = None;
        for frame in frames {
            let range = frame.offset..frame.offset + frame.length;
            let segment = Segment { pack: frame.pack.clone(), range, frames: Vec::new() };
            let mut bytes = Vec::new();
            match self.remote.read(&segment, &mut bytes) {
                Ok(_) if checked(&frame, &bytes) => {}
                Ok(_) => continue,
                Err(why) => {
                    self.push.report.troubles.push(format!("{}: {why}", frame.name));
                    continue;
                }
            }
            let open = match &mut pack {
                Some(open) => open,
                None => pack.insert(Pack::new(self.store).map_err(|error| error.to_string())?),
            };
            open.append(frame, &mut bytes.as_slice()).map_err(|error| error.to_string())?;
            if open.length > PACK
                && let Some(full) = pack.take()
            {
                self.send(full)?;
            }
        }
        pack.map_or(Ok(()), |pack| self.send(pack))
    }

    fn send(&mut self, mut pack: Pack) -> Result<(), String> {
        if pack.frames.is_empty() {
            return Ok(());
        }
        let digest = pack.close().map_err(|error| error.to_string())?;
        let key = self.remote.scope.pack(&digest);
        let payload = Payload::File { file: &pack.file, from: 0, len: pack.length };
        self.remote.backend.put(&key, payload).map_err(|error| error.to_string())?;
        self.push.report.bytes += pack.length;
        self.push.report.packs += 1;
        self.push.packs.insert(key.clone(), self.now);
        self.push.frames.extend(pack.frames.into_iter().map(|frame| Frame { pack: key.clone(), ..frame }));
        Ok(())
    }

    fn write_manifest(&mut self, mut replaces: Vec<String>, lay: Lay) -> Result<(), String> {
        replaces.sort();
        replaces.dedup();
        let frames = std::mem::take(&mut self.push.frames);
        let mut manifest = Manifest::new(frames, std::mem::take(&mut self.push.packs), replaces.clone());
        manifest.environments = std::mem::take(&mut self.environments);
        manifest.lay = lay;
        let bytes = manifest.bytes(self.remote.key.as_deref()).map_err(|error| error.to_string())?;
        let key = self.remote.scope.manifest(self.now, blake3::hash(&bytes).to_hex().as_str());
        self.remote.backend.put(&key, Payload::Bytes(&bytes)).map_err(|error| error.to_string())?;
        self.push.report.bytes += bytes.len() as u64;
        if self.remote.backend.abilities().deletes {
            for old in replaces.iter().filter(|old| **old != key) {
                // One that stays is replaced all the same.
                let _ = self.remote.backend.delete(old);
            }
        }
        Ok(())
    }

    /// Removes packs that were written anew, where that can be done.
    fn sweep(&self, packs: &BTreeSet<String>) {
        if self.remote.backend.abilities().deletes {
            for pack in packs {
                let _ = self.remote.backend.delete(pack);
            }
        }
    }
}

fn is_new(view: &View, entry: &Entry) -> bool {
    !covers(view.frames.get(&entry.id.to_string()).into_iter().flatten(), entry)
}

/// Whether frames have an entry for every bucket that it fits.
fn covers<'a>(mut frames: impl Iterator<Item = &'a Frame>, entry: &Entry) -> bool {
    let name = entry.id.to_string();
    if entry.id.kind.is_state() {
        return frames.any(|frame| frame.entry == name);
    }
    let known: BTreeSet<&str> =
        frames.filter(|frame| frame.entry == name).flat_map(|frame| &frame.buckets).map(String::as_str).collect();
    let placings = entry.placings();
    placings.iter().all(|(placing, _)| known.contains(placing.bucket.as_str())) && !known.is_empty()
}
