//! What a uv cache holds and the store does not, taken in: verified, a union, nothing written where nothing is new.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use serde::Serialize;

use crate::cache::package_selection::PackageSelection;
use crate::cache::progress::{CachePhase, ProgressReporter, WorkAmount};
use crate::cache::uv::{UvCache, UvCachedWheel};
use crate::fs::{FileLinker, parallel_map};

use super::corruption::EntryDamage;
use super::entry::UvPlacement;
use super::entry_id::EntryId;
use super::prune::PruneReport;
use super::staging::PublishOutcome;
use super::store_dir::{Store, StoreError};

/// What a save did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SaveReport {
    /// What is new in the store.
    pub saved: Vec<SavedEntry>,
    /// How many wheels it knew.
    pub already_stored: usize,
    /// What could not be taken, and why.
    pub failures: Vec<SaveFailure>,
    /// What was damaged in the uv cache, and so was not taken.
    pub damaged: Vec<EntryDamage>,
    /// Pointers of the uv cache that are not as this uv's layout has them.
    pub malformed_pointers: usize,
    /// Files taken.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// How files were taken: `clone`, `hardlink` or `copy`; none where there were none.
    pub link_mode: Option<&'static str>,
    /// What had to go, since the store was over its bounds.
    pub pruned: Option<PruneReport>,
    /// How long it took.
    pub seconds: f64,
}

/// One entry that is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SavedEntry {
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
pub struct SaveFailure {
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
    pub fn save_wheels(
        &self,
        wanted: &PackageSelection,
        cache: &UvCache,
        progress: &dyn ProgressReporter,
    ) -> Result<SaveReport, StoreError> {
        let begun = Instant::now();
        let (pointers, strange) = cache.scan_wheels();
        let pointers = pointers.into_iter().filter(|pointer| is_selected(wanted, pointer)).collect();
        let mut report = self.save_scanned_wheels(pointers, cache, progress)?;
        report.malformed_pointers = strange;
        if !report.saved.is_empty() {
            report.pruned = self.prune_if_over_limits();
        }
        report.seconds = begun.elapsed().as_secs_f64();
        Ok(report)
    }

    /// The same of what a scan found of late; whether the store is over its bounds then is not asked.
    ///
    /// # Errors
    /// When there is something new and the store cannot be written to at all.
    pub(crate) fn save_scanned_wheels(
        &self,
        pointers: Vec<UvCachedWheel>,
        cache: &UvCache,
        progress: &dyn ProgressReporter,
    ) -> Result<SaveReport, StoreError> {
        let begun = Instant::now();
        let mut report = SaveReport::default();
        let mut new: BTreeMap<EntryId, Vec<UvCachedWheel>> = BTreeMap::new();
        for pointer in pointers {
            if self.is_wheel_stored(&pointer) {
                self.mark_used(&pointer.id);
                report.already_stored += 1;
            } else {
                new.entry(pointer.id.clone()).or_default().push(pointer);
            }
        }
        if !new.is_empty() {
            self.save_new_wheels(&new, cache, progress, &mut report)?;
        }
        report.seconds = begun.elapsed().as_secs_f64();
        Ok(report)
    }

    fn is_wheel_stored(&self, pointer: &UvCachedWheel) -> bool {
        let placing = UvPlacement::folder_name(&pointer.bucket, &pointer.link);
        self.has_entry(&pointer.id) && self.entry_path(&pointer.id).join("uv").join(placing).is_dir()
    }

    fn save_new_wheels(
        &self,
        new: &BTreeMap<EntryId, Vec<UvCachedWheel>>,
        cache: &UvCache,
        progress: &dyn ProgressReporter,
        report: &mut SaveReport,
    ) -> Result<(), StoreError> {
        drop(self.create_workspace()?); // a store that takes nothing at all is told once, not for each wheel
        let lease = cache.lock_shared();
        if let Err(error) = &lease {
            let reason = format!("the uv cache cannot be held: {error}");
            let names = new.values().flatten().map(|pointer| pointer.name.clone());
            report.failures.extend(names.map(|name| SaveFailure { name, reason: reason.clone() }));
            return Ok(());
        }
        progress.start_phase(CachePhase::Save, WorkAmount { entries: new.len() as u64, ..WorkAmount::default() });
        let linker = FileLinker::new();
        let all: Vec<&Vec<UvCachedWheel>> = new.values().collect();
        let shared = Mutex::new(report);
        parallel_map(&all, |pointers| {
            let taken = self.save_wheel(pointers, cache, &linker);
            let mut report = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let amount = record_outcome(&mut report, &pointers[0], taken);
            progress.advance(WorkAmount { entries: 1, ..amount });
        });
        let report = shared.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        report.saved.sort_by(|a, b| a.name.cmp(&b.name));
        report.failures.sort_by(|a, b| a.name.cmp(&b.name));
        report.link_mode = (report.files > 0).then(|| linker.current_mode().as_str());
        progress.finish_phase();
        Ok(())
    }

    /// Takes one wheel with all its places in the cache.
    fn save_wheel(
        &self,
        pointers: &[UvCachedWheel],
        cache: &UvCache,
        linker: &FileLinker,
    ) -> Result<PublishOutcome, WheelSaveError> {
        let first = &pointers[0];
        let placings: Vec<(UvPlacement, Vec<Vec<u8>>)> = pointers
            .iter()
            .map(|pointer| pointer.read_placement(cache.dir()))
            .collect::<Result<_, _>>()
            .map_err(|error| WheelSaveError::Failed(error.to_string()))?;
        if self.has_entry(&first.id) {
            for (placing, files) in &placings {
                self.add_placement(&first.id, placing, files)
                    .map_err(|error| WheelSaveError::Failed(error.to_string()))?;
            }
            return Ok(PublishOutcome::AlreadyExists);
        }
        let mut incoming =
            self.stage_entry(&first.id, &first.name).map_err(|error| WheelSaveError::Failed(error.to_string()))?;
        incoming
            .import_tree(&cache.dir().join(&first.tree_path), linker)
            .map_err(|damage| WheelSaveError::Damaged(vec![damage]))?;
        for (placing, files) in placings {
            incoming.add_placement(placing, files);
        }
        incoming.publish(None).map_err(WheelSaveError::Damaged)
    }
}

impl SaveReport {
    /// Adds what another save of the same run did.
    pub(crate) fn merge(&mut self, other: Self) {
        self.saved.extend(other.saved);
        self.already_stored = other.already_stored;
        self.failures.extend(other.failures);
        self.damaged.extend(other.damaged);
        self.malformed_pointers = other.malformed_pointers;
        (self.files, self.bytes) = (self.files + other.files, self.bytes + other.bytes);
        self.link_mode = self.link_mode.or(other.link_mode);
        self.add_pruned(other.pruned);
        self.seconds += other.seconds;
    }

    /// Adds what had to go.
    pub(crate) fn add_pruned(&mut self, pruned: Option<PruneReport>) {
        self.pruned = pruned.or(self.pruned.take());
    }

    /// Adds what became of a folder.
    pub(crate) fn add_folder(&mut self, done: Result<Option<SavedEntry>, SaveFailure>) {
        match done {
            Ok(None) => {}
            Ok(Some(saved)) => {
                self.files += saved.files;
                self.bytes += saved.bytes;
                self.saved.push(saved);
            }
            Err(not) => self.failures.push(not),
        }
    }
}

/// Why a wheel was not taken.
enum WheelSaveError {
    Failed(String),
    Damaged(Vec<EntryDamage>),
}

fn is_selected(wanted: &PackageSelection, pointer: &UvCachedWheel) -> bool {
    match wanted {
        PackageSelection::All => true,
        PackageSelection::Only(packages) => packages.iter().any(|package| package.digests.contains(&pointer.digest)),
    }
}

fn record_outcome(
    report: &mut SaveReport,
    pointer: &UvCachedWheel,
    taken: Result<PublishOutcome, WheelSaveError>,
) -> WorkAmount {
    match taken {
        Ok(PublishOutcome::New(head)) => {
            report.files += head.files;
            report.bytes += head.bytes;
            let (entry, name) = (pointer.id.to_string(), head.name.clone());
            report.saved.push(SavedEntry { entry, name, files: head.files, bytes: head.bytes });
            WorkAmount { entries: 1, files: head.files, bytes: head.bytes }
        }
        Ok(PublishOutcome::AlreadyExists) => {
            report.already_stored += 1;
            WorkAmount::default()
        }
        Err(WheelSaveError::Failed(reason)) => {
            report.failures.push(SaveFailure { name: pointer.name.clone(), reason });
            WorkAmount::default()
        }
        Err(WheelSaveError::Damaged(damaged)) => {
            let reason =
                damaged.first().map(|damage| format!("{}: {}", damage.path, damage.corruption)).unwrap_or_default();
            report.failures.push(SaveFailure { name: pointer.name.clone(), reason });
            report.damaged.extend(damaged.into_iter().filter(|damage| !damage.corruption.is_io_error()));
            WorkAmount::default()
        }
    }
}
