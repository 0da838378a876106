//! Repacking: when packs are rewritten, and which frames are dropped.

use std::collections::{BTreeMap, BTreeSet};

use super::manifest::{PackFrame, RemoteManifest};
use crate::cache::store::plausible_version;

/// Maximum number of packs before they are merged.
const MAX_PACKS: usize = 8;
/// Days after which a pack is rewritten: the caches of Forgejo and act delete entries after thirty days, used or not.
const MAX_PACK_AGE_DAYS: i64 = 20;
/// Days after which an unused frame is dropped.
const MAX_UNUSED_DAYS: i64 = 14;
/// Seconds in a day.
pub(super) const SECONDS_PER_DAY: i64 = 24 * 3_600;

/// Packs to rewrite, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RepackPlan {
    /// The reason, as a message.
    pub(crate) reason: String,
    /// Keys of the packs to replace.
    pub(crate) packs: BTreeSet<String>,
}

impl RepackPlan {
    /// Plans a repack if there are more than eight packs, more than two fifths of their bytes are unused, or one is about to
    /// be deleted by the cache service.
    ///
    /// Entries in `in_use` count as used, even if the manifest contains an older time.
    pub(crate) fn for_manifest(manifest: &RemoteManifest, in_use: &BTreeSet<String>, now: i64) -> Option<Self> {
        let today = now / SECONDS_PER_DAY;
        let all: BTreeSet<String> = manifest.packs.keys().cloned().collect();
        let (mut unused, mut bytes) = (0_u64, 0_u64);
        for frame in &manifest.frames {
            bytes = bytes.saturating_add(frame.length);
            if is_unused(frame, today) && !in_use.contains(&frame.entry) {
                unused = unused.saturating_add(frame.length);
            }
        }
        let old: BTreeSet<String> = manifest
            .packs
            .iter()
            .filter(|(_, time)| {
                let age = now.saturating_sub(**time);
                !(-SECONDS_PER_DAY..=MAX_PACK_AGE_DAYS * SECONDS_PER_DAY).contains(&age)
            })
            .map(|(key, _)| key.clone())
            .collect();
        if all.len() > MAX_PACKS {
            Some(Self { reason: format!("{} packs", all.len()), packs: all })
        } else if unused.saturating_mul(5) > bytes.saturating_mul(2) {
            Some(Self {
                reason: format!("{} % of their bytes unused", unused.saturating_mul(100) / bytes.max(1)),
                packs: all,
            })
        } else if !old.is_empty() {
            Some(Self { reason: format!("{} packs older than {MAX_PACK_AGE_DAYS} days", old.len()), packs: old })
        } else {
            None
        }
    }
}

/// Returns whether a frame has been unused for more than [`MAX_UNUSED_DAYS`].
pub(super) fn is_unused(frame: &PackFrame, today: i64) -> bool {
    let days = today.saturating_sub(frame.last_used_day);
    // A day in the future is from a machine with a wrong clock; the frame would never count as unused.
    !(-1..=MAX_UNUSED_DAYS).contains(&days)
}

/// Marks all versions but the newest of each key as unused.
pub(super) fn mark_superseded_versions(frames: &mut [PackFrame]) {
    let now = jiff::Timestamp::now().as_nanosecond();
    let split_version = |frame: &PackFrame| {
        let id = frame.entry_id()?;
        let (key, time) = id.split_version()?;
        Some((format!("{}/{key}", id.kind.as_str()), plausible_version(time, now)))
    };
    let mut newest: BTreeMap<String, i128> = BTreeMap::new();
    for (key, time) in frames.iter().filter_map(split_version) {
        let known = newest.entry(key).or_insert(time);
        *known = time.max(*known);
    }
    for frame in frames {
        if split_version(frame).is_some_and(|(key, time)| newest.get(&key).is_some_and(|newest| time < *newest)) {
            frame.last_used_day = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(pack: &str, length: u64, used: i64) -> PackFrame {
        let entry = format!("wheel/{}", "a".repeat(64));
        PackFrame { entry, last_used_day: used, ..PackFrame::at(pack, 0, length) }
    }

    #[test]
    fn all_versions_but_the_newest_are_marked_unused() {
        let with_entry = |entry: &str| PackFrame { entry: entry.to_owned(), ..frame("p", 1, 9) };
        let mut frames = vec![
            with_entry("environment/abc.5"),
            with_entry("environment/abc.40"),
            with_entry("environment/abd.1"),
            frame("p", 1, 9),
        ];
        mark_superseded_versions(&mut frames);
        assert_eq!(frames.iter().map(|frame| frame.last_used_day).collect::<Vec<_>>(), [0, 9, 9, 9]);
    }

    fn repack_reason(frames: Vec<PackFrame>, age: i64) -> Option<String> {
        let now = 20_000 * SECONDS_PER_DAY;
        let packs = frames.iter().map(|frame| (frame.pack.clone(), now - age * SECONDS_PER_DAY)).collect();
        RepackPlan::for_manifest(&RemoteManifest::new(frames, packs, Vec::new()), &BTreeSet::new(), now)
            .map(|rewrite| rewrite.reason)
    }

    #[test]
    fn packs_are_rewritten_by_rule() {
        let many = |count: usize| (0..count).map(|number| frame(&number.to_string(), 1, 20_000)).collect::<Vec<_>>();
        assert_eq!(repack_reason(many(8), 1), None);
        assert_eq!(repack_reason(many(9), 1).as_deref(), Some("9 packs"));
        assert_eq!(repack_reason(vec![frame("a", 60, 20_000), frame("b", 40, 19_000)], 1), None);
        let unused = repack_reason(vec![frame("a", 50, 20_000), frame("b", 50, 19_985)], 1);
        assert_eq!(unused.as_deref(), Some("50 % of their bytes unused"));
        assert_eq!(repack_reason(many(2), 21).as_deref(), Some("2 packs older than 20 days"));
        assert_eq!(repack_reason(Vec::new(), 0), None);
    }
}
