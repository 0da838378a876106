//! Merging records of several runners into one run: the merged record and the files to copy.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use super::run_record::{MAX_ITEMS, RecordedSession};
use super::{Outcome, RunRecord, reconstruct_events, write_record};
use crate::fs::{RootDir, is_contained_path, write_atomic};
use crate::project::SessionName;

/// Plan of a merged run; nothing is written yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MergePlan {
    pub(crate) record: RunRecord,
    /// Files to copy.
    pub(crate) copies: Vec<PlannedCopy>,
    /// Sessions that no record has, in nox's order.
    pub(crate) missing_sessions: Vec<SessionName>,
    /// Shards without a record, such as `2/3`, or `3-9/10` for several.
    pub(crate) missing_shards: Vec<String>,
}

/// A file or directory of one run that is copied into the merged one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlannedCopy {
    /// Index of the record it belongs to.
    pub(crate) record_index: usize,
    /// Path in that run's directory.
    pub(crate) from: PathBuf,
    /// Path in the merged run's directory.
    pub(crate) to: PathBuf,
}

/// Offset of a record's times and slots in the merged run.
#[derive(Clone, Copy)]
struct RecordOffset {
    time_ms: u64,
    slot_offset: usize,
}

impl MergePlan {
    /// Merges records into a run with the identifier `run_id`; `None` without records.
    ///
    /// Times are shifted by the wall clock at the start of each run, so the merged run lasts from the first start to the
    /// last end. If a session is in several records, the worst outcome counts.
    pub(crate) fn from_records(records: &[RunRecord], run_id: &str) -> Option<Self> {
        let starts: Vec<Option<i64>> = records
            .iter()
            .map(|record| record.started_at.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond))
            .collect();
        let first = (0..records.len()).min_by_key(|&at| (starts[at].is_none(), starts[at], at))?;
        let origin = starts[first].unwrap_or(0);
        let mut record = RunRecord {
            run_id: run_id.to_owned(),
            exit_code: Some(0),
            interrupt_cause: None,
            wall_ms: 0,
            slots: 0,
            notices: Vec::new(),
            sessions: Vec::new(),
            shard: None,
            ..records[first].clone()
        };
        let (mut stems, mut positions) = (LogStems::default(), HashMap::new());
        let mut copies = Vec::new();
        let mut notices = Vec::new();
        for (source, part) in records.iter().enumerate() {
            let start_offset =
                starts[source].map_or(0, |start| u64::try_from(start.saturating_sub(origin)).unwrap_or(0));
            let offset = RecordOffset { time_ms: start_offset, slot_offset: record.slots };
            record.slots = record.slots.saturating_add(part.slots);
            record.wall_ms = record.wall_ms.max(start_offset.saturating_add(part.wall_ms));
            record.interrupt_cause = record.interrupt_cause.or_else(|| part.interrupt_cause.clone());
            record.exit_code = Some(worse_exit_code(record.exit_code.unwrap_or(0), part.exit_code.unwrap_or(1)));
            notices.extend(part.notices.iter().cloned());
            record.tree = record.tree.filter(|tree| part.tree.as_ref() == Some(tree));
            if part.commit != record.commit {
                let name = |commit: &Option<String>| commit.clone().unwrap_or_else(|| "none".to_owned());
                notices.push(format!(
                    "the merged runs are of different commits: {} and {}",
                    name(&record.commit),
                    name(&part.commit)
                ));
            }
            for versions in &part.versions {
                if !record.versions.contains(versions) {
                    notices.push(format!("run {} used {} {}", part.run_id, versions.0, versions.1));
                }
            }
            for session in &part.sessions {
                let moved = stems.relocate_session(session, source, offset, &mut copies);
                merge_session((&mut record.sessions, &mut positions), moved, &mut notices);
            }
        }
        // A damaged record may have the exit code of a run that passed.
        let has_failure =
            |session: &RecordedSession| session.result.as_ref().is_none_or(|end| end.outcome.is_failure());
        if record.exit_code == Some(0) && record.sessions.iter().any(has_failure) {
            record.exit_code = Some(1);
        }
        let mut seen = BTreeSet::new();
        notices.retain(|notice| seen.insert(notice.clone()));
        // As many as a record may have, with those on missing sessions.
        notices.truncate(MAX_ITEMS / 2);
        record.notices = notices;
        let (missing_sessions, missing_shards) = find_missing(records, &record);
        sort_sessions(&mut record, records);
        Some(Self { record, copies, missing_sessions, missing_shards })
    }

    /// Adds notices on missing sessions and shards; with missing sessions the run has failed.
    pub(crate) fn add_missing_notices(&mut self) {
        for name in &self.missing_sessions {
            if self.record.notices.len() < MAX_ITEMS - 1 {
                self.record.notices.push(format!("no record contains {name}"));
            }
        }
        if !self.missing_sessions.is_empty() {
            self.record.exit_code = self.record.exit_code.map(|exit| exit.max(1));
        }
        if !self.missing_shards.is_empty() {
            self.record.notices.push(format!("no record of shard {}", self.missing_shards.join(", ")));
        }
    }

    /// Writes the merged run into the directory `target`: the files of the runs in `run_dirs` (one per record), events,
    /// and last the record, so that a directory with a record is a complete run.
    ///
    /// # Errors
    /// When `target` cannot be written to, or a file cannot be read.
    pub(crate) fn write(&self, run_dirs: &[PathBuf], target: &Path) -> io::Result<()> {
        fs_err::create_dir_all(target.join("logs"))?;
        self.copy_files(run_dirs, &RootDir::open(target)?)?;
        let mut lines = Vec::new();
        for event in &reconstruct_events(&self.record) {
            serde_json::to_writer(&mut lines, event)?;
            lines.push(b'\n');
        }
        write_atomic(&target.join("events.jsonl"), &lines)?;
        write_record(target, &self.record)
    }

    /// Copies the files of the runs in `run_dirs` (one per record) into the directory `target`; missing files are skipped.
    ///
    /// # Errors
    /// When `target` cannot be written to, or a file cannot be read or is no regular file: runs have no others, but a
    /// download may have links to any file of this machine.
    fn copy_files(&self, run_dirs: &[PathBuf], target: &RootDir) -> io::Result<()> {
        for copy in &self.copies {
            let Some(run_dir) = run_dirs.get(copy.record_index) else { continue };
            let copied = RootDir::open(run_dir).and_then(|run| run.copy_tree(&copy.from, target, &copy.to));
            copied.map_err(|error| io::Error::new(error.kind(), format!("in {}: {error}", run_dir.display())))?;
        }
        Ok(())
    }
}

/// Returns the exit code of two merged runs: failed sessions (1) take precedence over errors of noxide.
fn worse_exit_code(one: u8, other: u8) -> u8 {
    match (one, other) {
        (1, _) | (_, 1) => 1,
        (0, other) => other,
        (one, _) => one,
    }
}

/// Adds a session. Of two with the same name, an unfinished one is used first, then a failed, a passed, a skipped one.
fn merge_session(
    (sessions, positions): (&mut Vec<RecordedSession>, &mut HashMap<SessionName, usize>),
    session: RecordedSession,
    notices: &mut Vec<String>,
) {
    let rank = |session: &RecordedSession| match session.result.as_ref().map(|result| result.outcome) {
        None => 4,
        Some(outcome) if outcome.is_failure() => 3,
        Some(Outcome::Passed) => 2,
        Some(_) => 0,
    };
    match positions.get(&session.spec.name).and_then(|position| sessions.get_mut(*position)) {
        None => {
            positions.insert(session.spec.name.clone(), sessions.len());
            sessions.push(session);
        }
        Some(known) => {
            notices.push(format!(
                "{} is in several records; the worst result counts (unfinished, failed, passed, skipped)",
                session.spec.name
            ));
            if rank(&session) > rank(known) {
                *known = session;
            }
        }
    }
}

/// Finds the sessions and shards that no record contains.
fn find_missing(records: &[RunRecord], merged: &RunRecord) -> (Vec<SessionName>, Vec<String>) {
    let mut missing = Vec::new();
    let mut known: HashSet<&SessionName> = merged.sessions.iter().map(|session| &session.spec.name).collect();
    let mut missing_shards = Vec::new();
    let all_shards = || records.iter().filter_map(|record| record.shard.as_ref());
    let shards: HashSet<(usize, usize)> = all_shards().map(|shard| (shard.index, shard.count)).collect();
    let counts: BTreeSet<usize> = shards.iter().map(|(_, count)| *count).collect();
    for count in counts {
        // Only the shards that exist are looked at: a record may name any count.
        let mut known: Vec<usize> =
            shards.iter().filter(|shard| shard.1 == count).map(|shard| shard.0).filter(|index| *index > 0).collect();
        known.sort_unstable();
        let mut next = 1;
        for index in known.into_iter().chain([count.saturating_add(1)]) {
            match index.saturating_sub(next) {
                0 => {}
                1 => missing_shards.push(format!("{next}/{count}")),
                _ => missing_shards.push(format!("{next}-{}/{count}", index - 1)),
            }
            next = index.saturating_add(1);
        }
    }
    for shard in all_shards() {
        for name in &shard.sessions {
            if known.insert(name) {
                missing.push(name.clone());
            }
        }
    }
    (missing, missing_shards)
}

/// Sorts the sessions in nox's order, if a shard records it.
fn sort_sessions(merged: &mut RunRecord, records: &[RunRecord]) {
    let Some(shard) = records.iter().find_map(|record| record.shard.as_ref()) else { return };
    let order: BTreeMap<&str, usize> =
        shard.sessions.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
    merged.sessions.sort_by_key(|session| order.get(session.spec.name.as_str()).copied().unwrap_or(usize::MAX));
}

/// Stems of log files already used in the merged run.
#[derive(Default)]
struct LogStems {
    used: HashSet<String>,
    /// Number to try next for a stem that is used already.
    next_numbers: HashMap<String, usize>,
    /// Files and directories that are copied already, by the index of their record.
    copied: HashSet<(usize, PathBuf)>,
}

impl LogStems {
    /// Returns the session as in the merged record, and adds its files to `copies` under unique names.
    fn relocate_session(
        &mut self,
        session: &RecordedSession,
        source: usize,
        offset: RecordOffset,
        copies: &mut Vec<PlannedCopy>,
    ) -> RecordedSession {
        let mut moved = session.clone();
        let Some(result) = &mut moved.result else { return moved };
        let Some(first) = result.attempts.first() else { return moved };
        let old = first.log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let new = self.reserve_stem(&old);
        for attempt in &mut result.attempts {
            attempt.start = attempt.start.saturating_add(offset.time_ms);
            attempt.end = attempt.end.saturating_add(offset.time_ms);
            for slot in &mut attempt.slots {
                *slot = slot.saturating_add(offset.slot_offset);
            }
            let name = attempt.log.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let to = Path::new("logs").join(format!("{new}{}", name.strip_prefix(&old).unwrap_or(".log")));
            let from = std::mem::replace(&mut attempt.log, to.clone());
            // A record from another machine must not name files outside of its run.
            // Several sessions may name one log to have it copied many times.
            if is_contained_path(&from) && self.copied.insert((source, from.clone())) {
                copies.push(PlannedCopy { record_index: source, from, to });
            }
        }
        let artifacts = Path::new("artifacts");
        let from = artifacts.join(&old);
        if is_contained_path(Path::new(&old)) && self.copied.insert((source, from.clone())) {
            copies.push(PlannedCopy { record_index: source, from, to: artifacts.join(new) });
        }
        moved
    }

    fn reserve_stem(&mut self, requested: &str) -> String {
        let mut stem = requested.to_owned();
        let number = self.next_numbers.entry(requested.to_lowercase()).or_insert(2);
        while !self.used.insert(stem.to_lowercase()) {
            stem = format!("{requested}-{number}");
            *number += 1;
        }
        stem
    }
}
