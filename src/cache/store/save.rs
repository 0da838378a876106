//! Saving of wheels that a uv cache contains and the store does not; writes nothing if there are none.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::time::Instant;

use serde::Serialize;
use thiserror::Error;

use crate::cache::package_selection::PackageSelection;
use crate::cache::progress::{CachePhase, ProgressReporter, WorkAmount};
use crate::cache::uv::{UvCache, UvCachedWheel};
use crate::fs::{FileLinker, parallel_map};

use super::damage::EntryDamage;
use super::entry::EntryMeta;
use super::entry_id::EntryId;
use super::prune::PruneReport;
use super::staging::PublishOutcome;
use super::store_dir::{Store, StoreError};
use super::uv_placement::UvPlacement;

/// Result of a save.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SaveReport {
    /// Entries added to the store.
    pub saved: Vec<SavedEntry>,
    /// Number of wheels that the store already contained.
    pub already_stored: usize,
    /// Wheels and directories that could not be saved, and why.
    pub failures: Vec<SaveFailure>,
    /// Damage found in the uv cache.
    pub damaged: Vec<EntryDamage>,
    /// Number of pointer files in the uv cache that do not match its layout.
    pub malformed_pointer_files: usize,
    /// Number of files saved.
    pub files: u64,
    /// Total size of these files, in bytes.
    pub bytes: u64,
    /// How files were stored: `clone`, `hardlink` or `copy`; `None` if there were none.
    pub link_mode: Option<&'static str>,
    /// Entries removed because the store exceeded its limits.
    pub pruned: Option<PruneReport>,
    /// Duration in seconds.
    pub seconds: f64,
}

/// An entry added to the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SavedEntry {
    /// The entry ID as text, such as `wheel/ab12…`.
    pub entry: String,
    /// Display name, such as `numpy 2.4.5`.
    pub name: String,
    /// Number of files.
    pub files: u64,
    /// Total size in bytes.
    pub bytes: u64,
}

impl SavedEntry {
    pub(super) fn new(id: &EntryId, meta: EntryMeta) -> Self {
        Self { entry: id.to_string(), name: meta.name, files: meta.files, bytes: meta.bytes }
    }
}

/// Something that was not saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SaveFailure {
    /// Display name, such as `numpy 2.4.5` or the path of an environment.
    pub name: String,
    /// The error message.
    pub reason: String,
}

/// Why something is not saved.
#[derive(Debug, Error)]
pub(crate) enum SaveError {
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The store cannot be written to.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The content is damaged.
    #[error("{}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Damaged(Vec<EntryDamage>),
    /// The key cannot be part of an entry ID.
    #[error("its key is not a valid entry ID")]
    InvalidId,
    /// Another process saved the same content.
    #[error("another process saved it first")]
    AlreadySaved,
    /// Another user can put files into a directory, or may have created it.
    #[error("it may belong to another user; use a directory below one that only you can write to")]
    ForeignDirectory,
    /// An environment was not created by uv.
    #[error("it was not created by uv")]
    NotCreatedByUv,
    /// An environment was created for another interpreter.
    #[error("it was created for another interpreter")]
    OtherInterpreter,
    /// A directory is not an environment.
    #[error("it has no site-packages")]
    NoSitePackages,
    /// A path or link target in an environment is not UTF-8.
    #[error("{0} is not valid UTF-8")]
    NotUtf8(String),
    /// An environment contains a device, pipe or socket.
    #[error("{0} is not a regular file")]
    NotAFile(String),
    /// A file of an environment is hard-linked to the store and was modified.
    #[error("{0} was modified, and it is also a file of the store")]
    SharedFileModified(String),
    /// The layout of an environment is one that a restore would refuse.
    #[error("it cannot be restored: {0}")]
    InvalidLayout(super::damage::Damage),
}

impl SaveError {
    /// Adds the name of what was not saved.
    pub(super) fn for_name(self, name: impl Into<String>) -> SaveFailure {
        SaveFailure { name: name.into(), reason: self.to_string() }
    }
}

impl From<EntryDamage> for SaveError {
    fn from(damage: EntryDamage) -> Self {
        Self::Damaged(vec![damage])
    }
}

impl From<Vec<EntryDamage>> for SaveError {
    fn from(damaged: Vec<EntryDamage>) -> Self {
        Self::Damaged(damaged)
    }
}

impl Store {
    /// Saves the selected wheels of a uv cache that the store does not contain. Damaged wheels are reported and skipped.
    ///
    /// # Errors
    /// If there is something new and the store cannot be written to.
    pub fn save_wheels(
        &self,
        selection: &PackageSelection,
        cache: &UvCache,
        progress: &dyn ProgressReporter,
    ) -> Result<SaveReport, StoreError> {
        let started = Instant::now();
        let (wheels, malformed_pointer_files) = cache.scan_wheels();
        let wheels = wheels.into_iter().filter(|wheel| is_selected(selection, wheel)).collect();
        let mut report = self.save_scanned_wheels(wheels, cache, progress)?;
        report.malformed_pointer_files = malformed_pointer_files;
        if !report.saved.is_empty() {
            report.pruned = self.prune_if_over_limits();
        }
        report.seconds = started.elapsed().as_secs_f64();
        Ok(report)
    }

    /// Saves wheels found by an earlier scan, without pruning the store afterwards.
    ///
    /// # Errors
    /// If there is something new and the store cannot be written to.
    pub(crate) fn save_scanned_wheels(
        &self,
        wheels: Vec<UvCachedWheel>,
        cache: &UvCache,
        progress: &dyn ProgressReporter,
    ) -> Result<SaveReport, StoreError> {
        let started = Instant::now();
        let mut report = SaveReport::default();
        let mut new: BTreeMap<EntryId, Vec<UvCachedWheel>> = BTreeMap::new();
        for wheel in wheels {
            if self.is_wheel_stored(&wheel) {
                self.mark_used(&wheel.id);
                report.already_stored += 1;
            } else {
                new.entry(wheel.id.clone()).or_default().push(wheel);
            }
        }
        if !new.is_empty() {
            self.save_new_wheels(&new, cache, progress, &mut report)?;
        }
        report.seconds = started.elapsed().as_secs_f64();
        Ok(report)
    }

    fn is_wheel_stored(&self, wheel: &UvCachedWheel) -> bool {
        let placement = UvPlacement::dir_name(&wheel.bucket, &wheel.link);
        self.has_entry(&wheel.id) && self.entry_path(&wheel.id).join("uv").join(placement).is_dir()
    }

    fn save_new_wheels(
        &self,
        copies_by_entry: &BTreeMap<EntryId, Vec<UvCachedWheel>>,
        cache: &UvCache,
        progress: &dyn ProgressReporter,
        report: &mut SaveReport,
    ) -> Result<(), StoreError> {
        // Report a store that cannot be written to once, not for each wheel.
        drop(self.create_workspace()?);
        let lock = cache.lock_shared();
        if let Err(error) = &lock {
            let reason = format!("the uv cache cannot be locked: {error}");
            let names = copies_by_entry.values().flatten().map(|wheel| wheel.name.clone());
            report.failures.extend(names.map(|name| SaveFailure { name, reason: reason.clone() }));
            return Ok(());
        }
        progress.start_phase(
            CachePhase::Save,
            WorkAmount { entries: copies_by_entry.len() as u64, ..WorkAmount::default() },
        );
        let linker = FileLinker::new();
        let groups: Vec<&Vec<UvCachedWheel>> = copies_by_entry.values().collect();
        let shared_report = Mutex::new(report);
        parallel_map(&groups, |copies| {
            let result = self.save_wheel(copies, cache, &linker);
            let mut report = shared_report.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let amount = record_outcome(&mut report, &copies[0], result);
            progress.advance(WorkAmount { entries: 1, ..amount });
        });
        let report = shared_report.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        report.saved.sort_by(|a, b| a.name.cmp(&b.name));
        report.failures.sort_by(|a, b| a.name.cmp(&b.name));
        report.link_mode = (report.files > 0).then(|| linker.current_mode().as_str());
        progress.finish_phase();
        Ok(())
    }

    /// Saves one wheel with all its placements in the uv cache.
    fn save_wheel(
        &self,
        copies: &[UvCachedWheel],
        cache: &UvCache,
        linker: &FileLinker,
    ) -> Result<PublishOutcome, SaveError> {
        // All have the same content.
        let first = &copies[0];
        let placements: Vec<(UvPlacement, Vec<Vec<u8>>)> =
            copies.iter().map(|wheel| wheel.read_placement(cache.dir())).collect::<Result<_, _>>()?;
        if self.has_entry(&first.id) {
            for (placement, files) in &placements {
                self.add_placement(&first.id, placement, files)?;
            }
            return Ok(PublishOutcome::AlreadyExists);
        }
        let mut staged = self.stage_entry(&first.id, &first.name)?;
        staged.import_tree(&cache.dir().join(&first.tree_path), linker)?;
        for (placement, files) in placements {
            staged.add_placement(placement, files);
        }
        Ok(staged.publish(None)?)
    }
}

impl SaveReport {
    /// Adds the result of a later save of the same run. Its counts of wheels replace the earlier ones, because each save
    /// counts all wheels in the cache.
    pub(crate) fn merge(&mut self, other: Self) {
        self.saved.extend(other.saved);
        self.already_stored = other.already_stored;
        self.failures.extend(other.failures);
        self.damaged.extend(other.damaged);
        self.malformed_pointer_files = other.malformed_pointer_files;
        (self.files, self.bytes) = (self.files + other.files, self.bytes + other.bytes);
        self.link_mode = self.link_mode.or(other.link_mode);
        self.add_pruned(other.pruned);
        self.seconds += other.seconds;
    }

    /// Adds the result of a prune.
    pub(crate) fn add_pruned(&mut self, pruned: Option<PruneReport>) {
        self.pruned = pruned.or(self.pruned.take());
    }

    /// Adds the result of saving a directory.
    pub(crate) fn add_directory(&mut self, result: Result<Option<SavedEntry>, SaveFailure>) {
        match result {
            Ok(None) => {}
            Ok(Some(saved)) => {
                self.files += saved.files;
                self.bytes += saved.bytes;
                self.saved.push(saved);
            }
            Err(failure) => self.failures.push(failure),
        }
    }
}

fn is_selected(selection: &PackageSelection, wheel: &UvCachedWheel) -> bool {
    match selection {
        PackageSelection::All => true,
        PackageSelection::Only(packages) => packages.iter().any(|package| package.digests.contains(&wheel.digest)),
    }
}

fn record_outcome(
    report: &mut SaveReport,
    wheel: &UvCachedWheel,
    result: Result<PublishOutcome, SaveError>,
) -> WorkAmount {
    match result {
        Ok(PublishOutcome::New(meta)) => {
            let amount = WorkAmount { entries: 1, files: meta.files, bytes: meta.bytes };
            report.files += meta.files;
            report.bytes += meta.bytes;
            report.saved.push(SavedEntry::new(&wheel.id, *meta));
            amount
        }
        Ok(PublishOutcome::AlreadyExists) => {
            report.already_stored += 1;
            WorkAmount::default()
        }
        Err(error) => {
            report.failures.push(SaveFailure { name: wheel.name.clone(), reason: error.to_string() });
            if let SaveError::Damaged(damaged) = error {
                report.damaged.extend(damaged.into_iter().filter(|damage| !damage.damage.is_io_error()));
            }
            WorkAmount::default()
        }
    }
}
