//! Downloads from the remote cache: planned as few ranged reads, each frame checked before it is used.

use super::manifest::PackFrame;
use super::pack::read_frame;
use super::snapshot::RemoteStore;
use crate::cache::progress::{CachePhase, ProgressReporter, WorkAmount};
use crate::cache::store::{PublishOutcome, Store};
use crate::fs::parallel_map;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::Mutex;
use std::time::Instant;

/// The most that one read asks for, unless one frame is longer.
const MAX_SEGMENT_BYTES: u64 = 8 << 20;
/// Gaps that are read with what lies around them: at most so much, and at most a twentieth of what is wanted.
const MAX_GAP_BYTES: u64 = 256 << 10;

/// What will be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DownloadPlan {
    /// Reads, the longest first.
    pub(crate) segments: Vec<PackSegment>,
}

/// One part of a pack, with the frames in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackSegment {
    /// The pack's key.
    pub(crate) pack_key: String,
    /// The bytes.
    pub(crate) range: Range<u64>,
    /// The frames in it, by their place.
    pub(crate) frames: Vec<PackFrame>,
}

impl DownloadPlan {
    /// Plans to read these frames: neighbours together, gaps only where they cost little.
    pub fn new(frames: impl IntoIterator<Item = PackFrame>) -> Self {
        let mut packs: BTreeMap<String, Vec<PackFrame>> = BTreeMap::new();
        for frame in frames {
            packs.entry(frame.pack.clone()).or_default().push(frame);
        }
        let mut segments: Vec<PackSegment> = Vec::new();
        for (pack, mut frames) in packs {
            frames.sort_by_key(|frame| frame.offset);
            frames.dedup_by_key(|frame| frame.offset);
            let mut open: Option<(PackSegment, u64)> = None;
            for frame in frames {
                let end = frame.offset + frame.length;
                if let Some((segment, wanted)) = &mut open {
                    let gap = frame.offset.saturating_sub(segment.range.end);
                    let cheap = gap <= MAX_GAP_BYTES.min((*wanted + frame.length) / 20);
                    if cheap && end - segment.range.start <= MAX_SEGMENT_BYTES && frame.offset >= segment.range.end {
                        segment.range.end = end;
                        *wanted += frame.length;
                        segment.frames.push(frame);
                        continue;
                    }
                }
                let length = frame.length;
                let segment = PackSegment { pack_key: pack.clone(), range: frame.offset..end, frames: vec![frame] };
                segments.extend(open.replace((segment, length)).map(|(segment, _)| segment));
            }
            segments.extend(open.map(|(segment, _)| segment));
        }
        segments.sort_by_key(|segment| std::cmp::Reverse(segment.range.end - segment.range.start));
        Self { segments }
    }

    /// Bytes that will be read.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.range.end - segment.range.start).sum()
    }

    /// The frames that are wanted.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &PackFrame> {
        self.segments.iter().flat_map(|segment| &segment.frames)
    }
}

/// The most that one request asks for.
const MAX_REQUEST_BYTES: u64 = 8 << 20;
/// What is larger is kept in a file until it is checked.
const MAX_BUFFERED_BYTES: usize = 32 << 20;

/// What was brought.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DownloadReport {
    /// Names of the packages that are new in the store.
    pub packages: Vec<String>,
    /// How many others are: bytecode, environments, folders.
    pub other_entries: usize,
    /// Bytes that were read from elsewhere.
    pub bytes: u64,
    /// What was planned and not brought.
    pub failures: Vec<DownloadFailure>,
    /// How long it took.
    pub seconds: f64,
}

/// One entry that was not brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DownloadFailure {
    /// Its name and version.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl DownloadReport {
    /// Adds what was brought for another session of the same run.
    pub(crate) fn merge(&mut self, other: Self) {
        self.packages.extend(other.packages);
        self.packages.sort();
        self.other_entries += other.other_entries;
        self.failures.extend(other.failures);
        (self.bytes, self.seconds) = (self.bytes + other.bytes, self.seconds + other.seconds);
    }
}

impl RemoteStore {
    /// Brings what is planned into the store. What fails is named and left: whoever needs it fetches it as without us.
    pub fn download(&self, plan: &DownloadPlan, store: &Store, progress: &dyn ProgressReporter) -> DownloadReport {
        let begun = Instant::now();
        let total =
            WorkAmount { entries: plan.frames().count() as u64, bytes: plan.total_bytes(), ..WorkAmount::default() };
        progress.start_phase(CachePhase::Restore, total);
        let brought = Mutex::new(DownloadReport::default());
        parallel_map(&plan.segments, |segment| {
            let (bytes, results) = self.download_segment(segment, store);
            progress.advance(WorkAmount { entries: results.len() as u64, bytes, ..WorkAmount::default() });
            let mut brought = brought.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            brought.bytes += bytes;
            for (frame, result) in segment.frames.iter().zip(results) {
                match result {
                    Ok(PublishOutcome::New(_)) if frame.entry_id().is_some_and(|id| id.kind.is_versioned()) => {
                        brought.other_entries += 1;
                    }
                    Ok(PublishOutcome::New(_)) => brought.packages.push(frame.name.clone()),
                    Ok(PublishOutcome::AlreadyExists) => {}
                    Err(reason) => brought.failures.push(DownloadFailure { name: frame.name.clone(), reason }),
                }
            }
        });
        progress.finish_phase();
        let mut brought = brought.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        brought.packages.sort();
        brought.failures.sort_by(|one, other| one.name.cmp(&other.name));
        brought.seconds = begun.elapsed().as_secs_f64();
        brought
    }

    /// Reads one part of a pack and takes its frames; gives the bytes read and each frame's result.
    fn download_segment(&self, segment: &PackSegment, store: &Store) -> (u64, Vec<Result<PublishOutcome, String>>) {
        let mut bytes = tempfile::SpooledTempFile::new(MAX_BUFFERED_BYTES);
        let read = match self.read_segment(segment, &mut bytes) {
            Ok(read) => read,
            Err(why) => return (0, segment.frames.iter().map(|_| Err(why.clone())).collect()),
        };
        let take = |frame: &PackFrame| self.import_frame(frame, segment.range.start, &mut bytes, store);
        (read, segment.frames.iter().map(take).collect())
    }

    /// The bytes of a range, piece by piece.
    pub(super) fn read_segment(&self, segment: &PackSegment, to: &mut dyn Write) -> Result<u64, String> {
        let mut at = segment.range.start;
        while at < segment.range.end {
            let piece = at..segment.range.end.min(at + MAX_REQUEST_BYTES);
            let bytes = match self.backend.get_range(&segment.pack_key, piece.clone()) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Err("its pack is gone".to_owned()),
                Err(error) => return Err(error.to_string()),
            };
            if bytes.len() as u64 != piece.end - piece.start {
                return Err("its pack is shorter than the manifest says".to_owned());
            }
            to.write_all(&bytes).map_err(|error| error.to_string())?;
            at = piece.end;
        }
        Ok(segment.range.end - segment.range.start)
    }

    fn import_frame(
        &self,
        frame: &PackFrame,
        start: u64,
        bytes: &mut tempfile::SpooledTempFile,
        store: &Store,
    ) -> Result<PublishOutcome, String> {
        let id = frame.entry_id().ok_or("its name is none")?;
        let from = SeekFrom::Start(frame.offset - start);
        let told = |error: std::io::Error| error.to_string();
        bytes.seek(from).map_err(told)?;
        let mut hasher = blake3::Hasher::new();
        std::io::copy(&mut bytes.take(frame.length), &mut hasher).map_err(told)?;
        if hasher.finalize().to_hex().as_str() != frame.frame_digest {
            return Err("its bytes are not those that the manifest names".to_owned());
        }
        bytes.seek(from).map_err(told)?;
        let tree = self.checksums.as_ref().map_or(Some(frame.tree_digest.as_str()), |sums| sums.expected_tree(&id));
        let tree = tree.ok_or("it is not in noxide.sums")?;
        let decoder = zstd::Decoder::new(bytes.take(frame.length)).map_err(told)?;
        read_frame(store, &id, &mut decoder.take(frame.uncompressed_length), Some(tree))
            .map_err(|error| error.to_string())
    }
}

/// The content of a frame whose bytes are in memory, checked; for packs that are rewritten.
pub(super) fn is_frame_intact(frame: &PackFrame, bytes: &[u8]) -> bool {
    let mut hasher = blake3::Hasher::new();
    let copied = std::io::copy(&mut Cursor::new(bytes), &mut hasher);
    copied.is_ok() && hasher.finalize().to_hex().as_str() == frame.frame_digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(pack: &str, offset: u64, length: u64) -> PackFrame {
        PackFrame {
            entry: format!("wheel/{pack}{offset}"),
            name: String::new(),
            pack: pack.to_owned(),
            offset,
            length,
            uncompressed_length: 0,
            frame_digest: String::new(),
            tree_digest: String::new(),
            buckets: Vec::new(),
            last_used_day: 0,
        }
    }

    #[test]
    fn neighbours_are_read_together_and_gaps_where_they_cost_little() {
        let plan =
            DownloadPlan::new([frame("a", 0, 1_000), frame("a", 1_000, 500), frame("a", 1_550, 100), frame("b", 7, 3)]);
        assert_eq!(
            plan.segments.iter().map(|s| (s.pack_key.as_str(), s.range.clone())).collect::<Vec<_>>(),
            [("a", 0..1_650), ("b", 7..10)]
        );
        assert_eq!((plan.total_bytes(), plan.frames().count()), (1_653, 4));
        let plan = DownloadPlan::new([
            frame("a", 0, 100),
            frame("a", 5_000, 100),
            frame("a", 6_000, MAX_SEGMENT_BYTES),
            frame("a", 0, 100),
        ]);
        assert_eq!(plan.segments.len(), 3);
    }

    proptest! {
        /// Each frame is read once, and at most a tenth more than what is wanted.
        #[test]
        fn little_more_than_wanted_is_read(parts in prop::collection::vec((1..3_000_000_u64, any::<bool>()), 1..60)) {
            let mut at = 0;
            let mut wanted = Vec::new();
            for (length, want) in parts {
                wanted.extend(want.then(|| frame("p", at, length)));
                at += length;
            }
            let own: u64 = wanted.iter().map(|frame| frame.length).sum();
            let plan = DownloadPlan::new(wanted.clone());
            let mut read: Vec<PackFrame> = plan.frames().cloned().collect();
            read.sort_by_key(|frame| frame.offset);
            prop_assert_eq!(&read, &wanted);
            prop_assert!(plan.total_bytes() <= own + own / 10);
            for segment in &plan.segments {
                prop_assert!(segment.frames.iter().all(|f| f.offset >= segment.range.start && f.offset + f.length <= segment.range.end));
                prop_assert!(segment.frames.len() == 1 || segment.range.end - segment.range.start <= MAX_SEGMENT_BYTES);
            }
        }
    }
}
