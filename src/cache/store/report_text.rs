//! Text form of the store's reports.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::damage::EntryDamage;
use super::entry_id::EntryKind;
use super::prune::{PrunePlan, PruneReport, PrunedEntry};
use super::repair::RepairOutcome;
use super::restore::RestoreReport;
use super::restore_plan::{CacheMiss, RestorePlan};
use super::save::SaveReport;
use super::status::StoreStatus;
use super::verify::VerifyReport;
use crate::text::{format_age, format_duration, format_size, format_size_limit, pluralize};

impl RestorePlan {
    /// Returns the plan as JSON.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let amount = self.total_amount();
        serde_json::json!({
            "entries": amount.entries, "files": amount.files, "bytes": amount.bytes,
            "already_present": self.present, "misses": self.misses, "damaged": self.damaged,
        })
    }

    /// Describes what would be restored.
    pub(crate) fn to_text(&self) -> String {
        let amount = self.total_amount();
        let mut text = format!(
            "would restore {}: {} files, {}; {} already present\n",
            pluralize(amount.entries, "wheel"),
            amount.files,
            format_size(amount.bytes),
            self.present.len(),
        );
        write_misses(&self.misses, &mut text);
        text
    }
}

impl RestoreReport {
    /// Describes what was restored and what is missing.
    pub(crate) fn to_text(&self) -> String {
        let time = format_seconds(self.seconds);
        let link = self.link_mode.map(|link| format!(" ({link})")).unwrap_or_default();
        let mut text = match self.restored.len() {
            0 => format!("nothing to restore ({time})\n"),
            count => format!(
                "restored {}: {} files, {} in {time}{link}\n",
                pluralize(count, noun(self.link_mode)),
                self.files,
                format_size(self.bytes),
            ),
        };
        if !self.already_present.is_empty() {
            let _ = writeln!(text, "{} already present", pluralize(self.already_present.len(), "package"));
        }
        write_misses(&self.misses, &mut text);
        text
    }
}

/// Returns what to count. Reports of wheels have a link mode, reports of directories alone have none.
fn noun(link_mode: Option<&str>) -> &'static str {
    if link_mode.is_some() { "wheel" } else { "directory" }
}

impl SaveReport {
    /// Describes what was saved and what was not.
    pub(crate) fn to_text(&self) -> String {
        let time = format_seconds(self.seconds);
        let link = self.link_mode.map(|link| format!(" ({link})")).unwrap_or_default();
        let mut text = match self.saved.len() {
            0 => format!("nothing new: {} already stored ({time})\n", pluralize(self.already_stored, "wheel")),
            count => format!(
                "saved {}: {} files, {} in {time}{link}; {} already stored\n",
                pluralize(count, noun(self.link_mode)),
                self.files,
                format_size(self.bytes),
                self.already_stored,
            ),
        };
        for failure in &self.failures {
            let _ = writeln!(text, "not saved: {}: {}", failure.name, failure.reason);
        }
        if self.malformed_pointer_files > 0 {
            let pointers = pluralize(self.malformed_pointer_files, "pointer file");
            let _ = writeln!(text, "{pointers} in uv's cache skipped: unknown format");
        }
        if let Some(pruned) = &self.pruned {
            let (entries, bytes) = (pluralize(pruned.removed.len(), "entry"), format_size(pruned.bytes));
            let _ = writeln!(text, "pruned {entries}: {bytes}, to stay within the limits");
        }
        text
    }
}

impl PrunePlan {
    /// Describes what would be removed.
    pub(crate) fn to_text(&self) -> String {
        let bytes: u64 = self.remove.iter().map(|entry| entry.bytes).sum();
        let mut text = format!("would remove {}: {}\n", pluralize(self.remove.len(), "entry"), format_size(bytes));
        write_entry_rows(&self.remove, &mut text);
        if !self.quarantined.is_empty() {
            let _ =
                writeln!(text, "and {} quarantined more than a week ago", pluralize(self.quarantined.len(), "entry"));
        }
        let _ = writeln!(
            text,
            "{} would remain: {}",
            pluralize(self.remaining, "entry"),
            format_size(self.remaining_bytes)
        );
        text
    }
}

impl PruneReport {
    /// Describes what was removed.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("removed {}: {}\n", pluralize(self.removed.len(), "entry"), format_size(self.bytes));
        write_entry_rows(&self.removed, &mut text);
        if !self.in_use.is_empty() {
            let _ = writeln!(text, "{} not removed: in use", pluralize(self.in_use.len(), "entry"));
        }
        let _ = writeln!(text, "{} remain: {}", pluralize(self.remaining, "entry"), format_size(self.remaining_bytes));
        text
    }
}

impl VerifyReport {
    /// Describes what was verified and repaired; damage is described by [`EntryDamage::to_text`].
    pub(crate) fn to_text(&self, repaired: &[RepairOutcome], is_repair: bool) -> String {
        let rate = format_size((self.bytes as f64 / self.seconds.max(0.001)) as u64);
        let mut text = format!(
            "verified {}: {} files, {} in {} ({rate}/s)\n",
            pluralize(self.entries, "entry"),
            self.files,
            format_size(self.bytes),
            format_seconds(self.seconds),
        );
        for outcome in repaired {
            let name = if outcome.name.is_empty() { &outcome.entry } else { &outcome.name };
            let _ = writeln!(text, "quarantined: {name}; {}", outcome.detail);
        }
        if self.is_clean() {
            text.push_str("no damage found\n");
        } else if !is_repair && !self.damaged.is_empty() {
            text.push_str(
                "repair with `noxide cache verify --repair`: it quarantines damaged entries and downloads them again\n",
            );
        }
        text
    }
}

impl EntryDamage {
    /// Describes the damaged file.
    pub(crate) fn to_text(&self) -> String {
        let entry = self.entry.to_string();
        let name = if self.name.is_empty() { &entry } else { &self.name };
        let path = if self.path.is_empty() { "the entry" } else { &self.path };
        format!("damaged: {name}: {path}: {}", self.damage)
    }
}

impl StoreStatus {
    /// Describes the content of the store.
    pub(crate) fn to_text(&self, now: Timestamp) -> String {
        let read_only = if self.writable { "" } else { " (read-only)" };
        let mut text = format!("{}{read_only}\n", self.path);
        for kind in &self.kinds {
            let age = |used: Timestamp| u64::try_from(now.as_second() - used.as_second()).unwrap_or(0);
            let used = kind.last_used.map(|used| format!(", last used {}", format_age(age(used)))).unwrap_or_default();
            let count = pluralize(kind.entries, kind_name(kind.kind));
            let _ = writeln!(text, "  {count:<20} {:>9} {:>9} files{used}", format_size(kind.bytes), kind.files);
        }
        let share = self.bytes.saturating_mul(100).checked_div(self.max_size).unwrap_or(100);
        let _ = writeln!(
            text,
            "{} of {} ({share} %), entries are removed after {} without use",
            format_size(self.bytes),
            format_size_limit(self.max_size),
            pluralize(self.max_unused_seconds / 86_400, "day"),
        );
        if self.unreadable > 0 {
            let entries = pluralize(self.unreadable, "entry");
            let _ = writeln!(text, "{entries} cannot be read; list them with `noxide cache verify`");
        }
        if !self.quarantined.is_empty() {
            let _ = writeln!(text, "{} quarantined as damaged", pluralize(self.quarantined.len(), "entry"));
        }
        text
    }
}

fn kind_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::BuiltWheel => "built wheel",
        EntryKind::Bytecode => "bytecode entry",
        EntryKind::UvCache => "uv cache",
        EntryKind::Environment => "environment",
        other => other.as_str(),
    }
}

fn format_seconds(seconds: f64) -> String {
    format_duration((seconds * 1_000.0) as u64)
}

fn write_entry_rows(entries: &[PrunedEntry], text: &mut String) {
    for entry in entries {
        let id = entry.entry.to_string();
        let name = if entry.name.is_empty() { &id } else { &entry.name };
        let _ = writeln!(text, "  {:>9}  {:<13}  {name}", format_size(entry.bytes), entry.reason.as_str());
    }
}

/// Lists misses by reason.
fn write_misses(misses: &[CacheMiss], text: &mut String) {
    let mut reasons: Vec<&str> = misses.iter().map(|miss| miss.reason.as_str()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    for reason in reasons {
        let names: Vec<&str> =
            misses.iter().filter(|miss| miss.reason == reason).map(|miss| miss.name.as_str()).collect();
        let _ = writeln!(text, "{} missing, {reason}: {}", pluralize(names.len(), "package"), names.join(", "));
    }
}
