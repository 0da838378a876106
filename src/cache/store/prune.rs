//! Entries removed by age and size: a plan first, and nothing that somebody holds.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::Serialize;

use crate::cache::progress::{CachePhase, NoProgress, ProgressReporter, WorkAmount};
use crate::fs::{DirLock, parallel_map};

use super::entry_id::{EntryId, EntryKind};
use super::store_dir::{Store, StoreError};

/// How long what was put aside is kept for people to look at.
const QUARANTINE_RETENTION: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Why an entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PruneReason {
    /// It was not used for longer than the bound.
    Unused,
    /// The store holds more than its bound, and this was used longest ago.
    OverMaxSize,
}

impl PruneReason {
    /// In words.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unused => "unused",
            Self::OverMaxSize => "over-max-size",
        }
    }
}

/// One entry that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrunedEntry {
    /// The entry.
    #[serde(serialize_with = "serialize_entry_id")]
    pub entry: EntryId,
    /// Its name and version.
    pub name: String,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When it was last used.
    pub last_used: Option<Timestamp>,
    /// Why it goes.
    pub reason: PruneReason,
}

/// What a prune will do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PrunePlan {
    /// What goes, in this order.
    pub remove: Vec<PrunedEntry>,
    /// Entries that stay.
    pub remaining: usize,
    /// Their bytes.
    pub remaining_bytes: u64,
    /// Damaged entries put aside long ago, which go too.
    pub quarantined: Vec<String>,
}

/// What a prune did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PruneReport {
    /// What went.
    pub removed: Vec<PrunedEntry>,
    /// What stays since somebody holds it.
    pub in_use: Vec<PrunedEntry>,
    /// Bytes of what went.
    pub bytes: u64,
    /// Entries that stay.
    pub remaining: usize,
    /// Their bytes.
    pub remaining_bytes: u64,
}

impl Store {
    /// Says what goes for the store to be within its bounds.
    pub fn plan_prune(&self) -> PrunePlan {
        let now = SystemTime::now();
        let ids = self.entry_ids();
        let mut known = parallel_map(&ids, |id| {
            let head = self.entry_meta(id).ok();
            let (files, bytes) = head.as_ref().map_or((0, 0), |head| (head.files, head.bytes));
            let name = head.map(|head| head.name).unwrap_or_default();
            (
                self.last_used(id).unwrap_or(now),
                PrunedEntry {
                    entry: id.clone(),
                    name,
                    files,
                    bytes,
                    last_used: self.last_used(id).and_then(|used| Timestamp::try_from(used).ok()),
                    reason: PruneReason::Unused,
                },
            )
        });
        // A wheel is in use as long as an environment that it is in; of both the environment goes first.
        for id in ids.iter().filter(|id| id.kind == EntryKind::Venv) {
            let (Ok(head), Some(used)) = (self.entry_meta(id), self.last_used(id)) else { continue };
            let parts: HashSet<&str> = head.requires.iter().map(String::as_str).collect();
            for (time, entry) in &mut known {
                if *time < used && parts.contains(entry.entry.to_string().as_str()) {
                    *time = used;
                }
            }
        }
        let order = |entry: &PrunedEntry| (entry.entry.kind != EntryKind::Venv, entry.entry.clone());
        known.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| order(x).cmp(&order(y))));
        let mut plan = PrunePlan::default();
        let mut total: u64 = known.iter().map(|(_, entry)| entry.bytes).sum();
        for (used, mut entry) in known {
            let age = now.duration_since(used).unwrap_or_default();
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

    /// Carries a plan out. What somebody holds stays; what goes is out of sight at once and removed after.
    ///
    /// # Errors
    /// When the store cannot be written to.
    pub fn prune(&self, plan: &PrunePlan, progress: &dyn ProgressReporter) -> Result<PruneReport, StoreError> {
        let mut report =
            PruneReport { remaining: plan.remaining, remaining_bytes: plan.remaining_bytes, ..PruneReport::default() };
        if plan.remove.is_empty() && plan.quarantined.is_empty() {
            return Ok(report);
        }
        let workspace = self.create_workspace()?;
        let amount = |entry: &PrunedEntry| WorkAmount { entries: 1, files: entry.files, bytes: entry.bytes };
        progress.start_phase(CachePhase::Prune, plan.remove.iter().map(amount).sum());
        for (number, entry) in plan.remove.iter().enumerate() {
            let place = self.entry_path(&entry.entry);
            let used = self.last_used(&entry.entry).and_then(|used| Timestamp::try_from(used).ok());
            // Used since the plan was made, or held by somebody: it stays.
            let lease =
                if used == entry.last_used { DirLock::try_acquire_exclusive(&place).ok().flatten() } else { None };
            let gone = workspace.path().join(number.to_string());
            if lease.is_some() && std::fs::rename(&place, &gone).is_ok() {
                // Removed one by one: a prune of much must not need as much time at its end.
                let _ = std::fs::remove_dir_all(&gone);
                report.bytes += entry.bytes;
                report.removed.push(entry.clone());
            } else if place.exists() {
                report.remaining += 1;
                report.remaining_bytes += entry.bytes;
                report.in_use.push(entry.clone());
            }
            progress.advance(amount(entry));
        }
        for (number, name) in plan.quarantined.iter().enumerate() {
            // What is left of them is tried again by the next prune.
            let _ = std::fs::rename(self.quarantine_dir().join(name), workspace.path().join(format!("aside-{number}")));
        }
        drop(workspace);
        progress.finish_phase();
        Ok(report)
    }

    /// Prunes when the store is over its bounds; a prune that cannot be done now is done later.
    pub(crate) fn prune_if_over_limits(&self) -> Option<PruneReport> {
        let plan = self.plan_prune();
        if plan.remove.is_empty() { None } else { self.prune(&plan, &NoProgress).ok() }
    }

    fn expired_quarantine(&self, now: SystemTime) -> Vec<String> {
        let old = |entry: &std::fs::DirEntry| {
            let changed = entry.metadata().and_then(|facts| changed_time(&facts));
            changed.is_ok_and(|changed| now.duration_since(changed).is_ok_and(|age| age > QUARANTINE_RETENTION))
        };
        let entries = std::fs::read_dir(self.quarantine_dir()).into_iter().flatten().flatten().filter(old);
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

/// When a folder was last changed or moved: its own time of change, which a rename sets.
fn changed_time(facts: &std::fs::Metadata) -> std::io::Result<SystemTime> {
    use std::os::unix::fs::MetadataExt;
    let seconds = u64::try_from(facts.ctime()).map_err(std::io::Error::other)?;
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

fn serialize_entry_id<S: serde::Serializer>(id: &EntryId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
