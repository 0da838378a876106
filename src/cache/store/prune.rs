//! Pruning by age and size: a plan, and its application, which skips entries in use.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::Serialize;

use crate::cache::progress::{CachePhase, NoProgress, ProgressReporter, WorkAmount};
use crate::fs::{DirLock, parallel_map, remove_dir_tree};

use super::entry_id::{EntryId, EntryKind};
use super::store_dir::{Store, StoreError};

/// Age after which quarantined entries are removed.
const QUARANTINE_RETENTION: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Why an entry is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PruneReason {
    /// It was unused for longer than `max-unused`.
    Unused,
    /// The store exceeds `max-size`, and the entry is the least recently used.
    OverMaxSize,
}

impl PruneReason {
    /// Returns the reason as text.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unused => "unused",
            Self::OverMaxSize => "over-max-size",
        }
    }
}

/// An entry that is removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrunedEntry {
    /// ID of the entry.
    #[serde(serialize_with = "serialize_entry_id")]
    pub entry: EntryId,
    /// Display name, such as `numpy 2.4.5`.
    pub name: String,
    /// Number of files.
    pub files: u64,
    /// Total size in bytes.
    pub bytes: u64,
    /// When it was last used, if that is known.
    pub last_used: Option<Timestamp>,
    /// Why it is removed.
    pub reason: PruneReason,
}

/// Entries that a prune removes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PrunePlan {
    /// Entries to remove, in this order.
    pub remove: Vec<PrunedEntry>,
    /// Number of entries that remain.
    pub remaining: usize,
    /// Total size in bytes.
    pub remaining_bytes: u64,
    /// Names of expired quarantined entries, which are removed too.
    pub quarantined: Vec<String>,
}

/// Result of a prune.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PruneReport {
    /// Entries removed.
    pub removed: Vec<PrunedEntry>,
    /// Entries that were not removed because they are in use.
    pub in_use: Vec<PrunedEntry>,
    /// Total size of the removed entries, in bytes.
    pub bytes: u64,
    /// Number of entries that remain.
    pub remaining: usize,
    /// Total size in bytes.
    pub remaining_bytes: u64,
}

impl Store {
    /// Determines which entries to remove so that the store is within its limits.
    pub fn plan_prune(&self) -> PrunePlan {
        let now = SystemTime::now();
        let ids = self.entry_ids();
        let mut candidates = parallel_map(&ids, |id| {
            let meta = self.entry_meta(id).ok();
            let (files, bytes) = meta.as_ref().map_or((0, 0), |meta| (meta.files, meta.bytes));
            let name = meta.map(|meta| meta.name).unwrap_or_default();
            (
                self.last_used(id).unwrap_or(now),
                PrunedEntry {
                    entry: id.clone(),
                    name,
                    files,
                    bytes,
                    last_used: self.last_used(id).and_then(|last_used| Timestamp::try_from(last_used).ok()),
                    reason: PruneReason::Unused,
                },
            )
        });
        // A wheel counts as used for as long as an environment that contains it; the environment is removed first.
        for id in ids.iter().filter(|id| id.kind == EntryKind::Environment) {
            let (Ok(meta), Some(last_used)) = (self.entry_meta(id), self.last_used(id)) else { continue };
            let wheels: HashSet<&str> = meta.members.iter().map(String::as_str).collect();
            for (time, entry) in &mut candidates {
                if *time < last_used && wheels.contains(entry.entry.to_string().as_str()) {
                    *time = last_used;
                }
            }
        }
        let sort_key = |entry: &PrunedEntry| (entry.entry.kind != EntryKind::Environment, entry.entry.clone());
        candidates.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| sort_key(x).cmp(&sort_key(y))));
        let mut plan = PrunePlan::default();
        let mut total: u64 = candidates.iter().map(|(_, entry)| entry.bytes).sum();
        for (last_used, mut entry) in candidates {
            let age = now.duration_since(last_used).unwrap_or_default();
            if age > self.options.max_unused {
                entry.reason = PruneReason::Unused;
            } else if total > self.options.max_size {
                entry.reason = PruneReason::OverMaxSize;
            } else {
                plan.remaining += 1;
                plan.remaining_bytes += entry.bytes;
                continue;
            }
            total -= entry.bytes;
            plan.remove.push(entry);
        }
        plan.quarantined = self.expired_quarantine(now);
        plan
    }

    /// Applies a plan. Entries in use remain. Other entries are moved out of the store first and then deleted.
    ///
    /// # Errors
    /// If the store cannot be written to.
    pub fn prune(&self, plan: &PrunePlan, progress: &dyn ProgressReporter) -> Result<PruneReport, StoreError> {
        let mut report =
            PruneReport { remaining: plan.remaining, remaining_bytes: plan.remaining_bytes, ..PruneReport::default() };
        if plan.remove.is_empty() && plan.quarantined.is_empty() {
            return Ok(report);
        }
        let workspace = self.create_workspace()?;
        let amount = |entry: &PrunedEntry| WorkAmount { entries: 1, files: entry.files, bytes: entry.bytes };
        progress.start_phase(CachePhase::Prune, plan.remove.iter().map(amount).sum());
        for (index, entry) in plan.remove.iter().enumerate() {
            let path = self.entry_path(&entry.entry);
            let last_used = self.last_used(&entry.entry).and_then(|last_used| Timestamp::try_from(last_used).ok());
            // Keep an entry that was used since the plan was made, or is locked.
            let lock =
                if last_used == entry.last_used { DirLock::try_acquire_exclusive(&path).ok().flatten() } else { None };
            let removed = workspace.path().join(index.to_string());
            if lock.is_some() && std::fs::rename(&path, &removed).is_ok() {
                // Delete each entry immediately: an interrupted prune then has freed space.
                let _ = remove_dir_tree(&removed);
                report.bytes += entry.bytes;
                report.removed.push(entry.clone());
            } else if path.exists() {
                report.remaining += 1;
                report.remaining_bytes += entry.bytes;
                report.in_use.push(entry.clone());
            }
            progress.advance(amount(entry));
        }
        for (index, name) in plan.quarantined.iter().enumerate() {
            // If this fails, the next prune tries again.
            let _ = std::fs::rename(
                self.quarantine_dir().join(name),
                workspace.path().join(format!("quarantined-{index}")),
            );
        }
        drop(workspace);
        progress.finish_phase();
        Ok(report)
    }

    /// Prunes the store if it exceeds its limits. If that fails, a later save tries again.
    pub(crate) fn prune_if_over_limits(&self) -> Option<PruneReport> {
        let plan = self.plan_prune();
        if plan.remove.is_empty() { None } else { self.prune(&plan, &NoProgress).ok() }
    }

    fn expired_quarantine(&self, now: SystemTime) -> Vec<String> {
        let is_expired = |entry: &std::fs::DirEntry| {
            let changed = entry.metadata().and_then(|metadata| changed_time(&metadata));
            changed.is_ok_and(|changed| now.duration_since(changed).is_ok_and(|age| age > QUARANTINE_RETENTION))
        };
        let entries = std::fs::read_dir(self.quarantine_dir()).into_iter().flatten().flatten().filter(is_expired);
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

/// Returns when a directory was last changed or moved: its change time, which a rename updates.
fn changed_time(metadata: &std::fs::Metadata) -> std::io::Result<SystemTime> {
    use std::os::unix::fs::MetadataExt;
    let seconds = u64::try_from(metadata.ctime()).map_err(std::io::Error::other)?;
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

fn serialize_entry_id<S: serde::Serializer>(id: &EntryId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
