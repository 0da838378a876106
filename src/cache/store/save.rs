//! What a uv cache holds and the store does not, taken in: verified, a union, nothing written where nothing is new.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use serde::Serialize;

use crate::cache::progress::{Amount, Phase, Progress};
use crate::cache::uv::{Pointer, UvCache};
use crate::cache::wanted::Wanted;
use crate::fs::{Linker, in_parallel};

use super::entry::Placing;
use super::id::EntryId;
use super::incoming::Published;
use super::prune::PruneReport;
use super::root::{Store, StoreError};
use super::wrong::Damage;

/// What a save did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SaveReport {
    /// What is new in the store.
    pub saved: Vec<Saved>,
    /// How many wheels it knew.
    pub known: usize,
    /// What could not be taken, and why.
    pub not_saved: Vec<NotSaved>,
    /// What was damaged in the uv cache, and so was not taken.
    pub damaged: Vec<Damage>,
    /// Pointers of the uv cache that are not as this uv's layout has them.
    pub strange: usize,
    /// Files taken.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// How files were taken: `clone`, `hardlink` or `copy`; none where there were none.
    pub link: Option<&'static str>,
    /// What had to go, since the store was over its bounds.
    pub pruned: Option<PruneReport>,
    /// How long it took.
    pub seconds: f64,
}

/// One entry that is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Saved {
    /// The entry, such as `wheel/ab12…`.
    pub entry: String,
    /// Its name and version.
    pub name: String,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One wheel that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotSaved {
    /// Its name and version.
    pub name: String,
    /// Why, in words for people.
    pub reason: String,
}

impl Store {
    /// Takes in what a uv cache holds and the store does not. What is damaged there is named and left.
    ///
    /// # Errors
    /// When there is something new and the store cannot be written to at all.
    pub fn save(&self, wanted: &Wanted, cache: &UvCache, progress: &dyn Progress) -> Result<SaveReport, StoreError> {
        let begun = Instant::now();
        let (pointers, strange) = cache.scan();
        let pointers = pointers.into_iter().filter(|pointer| is_wanted(wanted, pointer)).collect();
        let mut report = self.save_found(pointers, cache, progress)?;
        report.strange = strange;
        if !report.saved.is_empty() {
            report.pruned = self.keep_bounds();
        }
        report.seconds = begun.elapsed().as_secs_f64();
        Ok(report)
    }

    /// The same of what a scan found of late; whether the store is over its bounds then is not asked.
    ///
    /// # Errors
    /// When there is something new and the store cannot be written to at all.
    pub fn save_found(
        &self,
        pointers: Vec<Pointer>,
        cache: &UvCache,
        progress: &dyn Progress,
    ) -> Result<SaveReport, StoreError> {
        let begun = Instant::now();
        let mut report = SaveReport::default();
        let mut new: BTreeMap<EntryId, Vec<Pointer>> = BTreeMap::new();
        for pointer in pointers {
            if self.knows(&pointer) {
                self.touch(&pointer.id);
                report.known += 1;
            } else {
                new.entry(pointer.id.clone()).or_default().push(pointer);
            }
        }
        if !new.is_empty() {
            self.take(&new, cache, progress, &mut report)?;
        }
        report.seconds = begun.elapsed().as_secs_f64();
        Ok(report)
    }

    fn knows(&self, pointer: &Pointer) -> bool {
        let placing = Placing::folder(&pointer.bucket, &pointer.link);
        self.has(&pointer.id) && self.place(&pointer.id).join("uv").join(placing).is_dir()
    }

    fn take(
        &self,
        new: &BTreeMap<EntryId, Vec<Pointer>>,
        cache: &UvCache,
        progress: &dyn Progress,
        report: &mut SaveReport,
    ) -> Result<(), StoreError> {
        drop(self.workspace()?); // a store that takes nothing at all is told once, not for each wheel
        let lease = cache.lease();
        if let Err(error) = &lease {
            let reason = format!("the uv cache cannot be held: {error}");
            let names = new.values().flatten().map(|pointer| pointer.name.clone());
            report.not_saved.extend(names.map(|name| NotSaved { name, reason: reason.clone() }));
            return Ok(());
        }
        progress.begin(Phase::Save, Amount { entries: new.len() as u64, ..Amount::default() });
        let linker = Linker::new();
        let all: Vec<&Vec<Pointer>> = new.values().collect();
        let shared = Mutex::new(report);
        in_parallel(&all, |pointers| {
            let taken = self.take_one(pointers, cache, &linker);
            let mut report = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let amount = note(&mut report, &pointers[0], taken);
            progress.advance(Amount { entries: 1, ..amount });
        });
        let report = shared.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        report.saved.sort_by(|a, b| a.name.cmp(&b.name));
        report.not_saved.sort_by(|a, b| a.name.cmp(&b.name));
        report.link = (report.files > 0).then(|| linker.mode().as_str());
        progress.end();
        Ok(())
    }

    /// Takes one wheel with all its places in the cache.
    fn take_one(&self, pointers: &[Pointer], cache: &UvCache, linker: &Linker) -> Result<Published, Refusal> {
        let first = &pointers[0];
        let placings: Vec<(Placing, Vec<Vec<u8>>)> = pointers
            .iter()
            .map(|pointer| pointer.read(cache.dir()))
            .collect::<Result<_, _>>()
            .map_err(|error| Refusal::Reason(error.to_string()))?;
        if self.has(&first.id) {
            for (placing, files) in &placings {
                self.add_placing(&first.id, placing, files).map_err(|error| Refusal::Reason(error.to_string()))?;
            }
            return Ok(Published::AlreadyThere);
        }
        let mut incoming = self.incoming(&first.id, &first.name).map_err(|error| Refusal::Reason(error.to_string()))?;
        incoming.adopt(&cache.dir().join(&first.archive), linker).map_err(|damage| Refusal::Damaged(vec![damage]))?;
        for (placing, files) in placings {
            incoming.placing(placing, files);
        }
        incoming.publish(None).map_err(Refusal::Damaged)
    }
}

impl SaveReport {
    /// Adds what another save of the same run did.
    pub fn add(&mut self, other: Self) {
        self.saved.extend(other.saved);
        self.known = other.known;
        self.not_saved.extend(other.not_saved);
        self.damaged.extend(other.damaged);
        self.strange = other.strange;
        (self.files, self.bytes) = (self.files + other.files, self.bytes + other.bytes);
        self.link = self.link.or(other.link);
        self.add_pruned(other.pruned);
        self.seconds += other.seconds;
    }

    /// Adds what had to go.
    pub fn add_pruned(&mut self, pruned: Option<PruneReport>) {
        self.pruned = pruned.or(self.pruned.take());
    }

    /// Adds what became of a folder.
    pub fn add_folder(&mut self, done: Result<Option<Saved>, NotSaved>) {
        match done {
            Ok(None) => {}
            Ok(Some(saved)) => {
                self.files += saved.files;
                self.bytes += saved.bytes;
                self.saved.push(saved);
            }
            Err(not) => self.not_saved.push(not),
        }
    }
}

/// Why a wheel was not taken.
enum Refusal {
    Reason(String),
    Damaged(Vec<Damage>),
}

fn is_wanted(wanted: &Wanted, pointer: &Pointer) -> bool {
    match wanted {
        Wanted::All => true,
        Wanted::These(packages) => packages.iter().any(|package| package.digests.contains(&pointer.digest)),
    }
}

fn note(report: &mut SaveReport, pointer: &Pointer, taken: Result<Published, Refusal>) -> Amount {
    match taken {
        Ok(Published::New(head)) => {
            report.files += head.files;
            report.bytes += head.bytes;
            let (entry, name) = (pointer.id.to_string(), head.name.clone());
            report.saved.push(Saved { entry, name, files: head.files, bytes: head.bytes });
            Amount { entries: 1, files: head.files, bytes: head.bytes }
        }
        Ok(Published::AlreadyThere) => {
            report.known += 1;
            Amount::default()
        }
        Err(Refusal::Reason(reason)) => {
            report.not_saved.push(NotSaved { name: pointer.name.clone(), reason });
            Amount::default()
        }
        Err(Refusal::Damaged(damaged)) => {
            let reason = damaged.first().map(|damage| format!("{}: {}", damage.path, damage.wrong)).unwrap_or_default();
            report.not_saved.push(NotSaved { name: pointer.name.clone(), reason });
            report.damaged.extend(damaged.into_iter().filter(|damage| !damage.wrong.is_of_the_system()));
            Amount::default()
        }
    }
}
