//! Downloads from the remote cache: few ranged reads, and a check of each frame before it is used.

use super::manifest::PackFrame;
use super::pack::{FrameError, FrameTrust, ImportBudget, read_frame};
use super::snapshot::RemoteCache;
use crate::cache::backend::BackendError;
use crate::cache::options::StoreOptions;
use crate::cache::progress::{CachePhase, ProgressReporter, WorkAmount};
use crate::cache::store::{PublishOutcome, Store};
use crate::fs::parallel_map;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::Mutex;
use std::time::Instant;
use thiserror::Error;

/// Maximum size of a segment in bytes, unless a single frame is longer.
const MAX_SEGMENT_BYTES: u64 = 8 << 20;
/// Maximum gap in bytes between two frames that are read in one request. Each gap is also limited to a twentieth of the
/// bytes that the segment requests so far.
const MAX_GAP_BYTES: u64 = 256 << 10;

/// Ranges to read from a remote cache, and the frames in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DownloadPlan {
    /// Ranges to read, the longest first.
    pub(crate) segments: Vec<PackSegment>,
}

/// A range of a pack, and the frames in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackSegment {
    /// Key of the pack.
    pub(crate) pack_key: String,
    /// Range in bytes.
    pub(crate) range: Range<u64>,
    /// The frames in the range, by offset.
    pub(crate) frames: Vec<PackFrame>,
}

impl DownloadPlan {
    /// Plans to read these frames: neighbours in one request, with small gaps between them.
    pub fn new(frames: impl IntoIterator<Item = PackFrame>) -> Self {
        let mut packs: BTreeMap<String, Vec<PackFrame>> = BTreeMap::new();
        for frame in frames {
            packs.entry(frame.pack.clone()).or_default().push(frame);
        }
        let mut segments: Vec<PackSegment> = Vec::new();
        for (pack, mut frames) in packs {
            frames.sort_by_key(|frame| frame.offset);
            frames.dedup_by_key(|frame| frame.offset);
            let mut current: Option<(PackSegment, u64)> = None;
            for frame in frames {
                let end = frame.offset + frame.length;
                if let Some((segment, requested)) = &mut current {
                    let gap = frame.offset.saturating_sub(segment.range.end);
                    let is_small = gap <= MAX_GAP_BYTES.min(requested.saturating_add(frame.length) / 20);
                    if is_small && end - segment.range.start <= MAX_SEGMENT_BYTES && frame.offset >= segment.range.end {
                        segment.range.end = end;
                        *requested = requested.saturating_add(frame.length);
                        segment.frames.push(frame);
                        continue;
                    }
                }
                let length = frame.length;
                let segment = PackSegment { pack_key: pack.clone(), range: frame.offset..end, frames: vec![frame] };
                segments.extend(current.replace((segment, length)).map(|(segment, _)| segment));
            }
            segments.extend(current.map(|(segment, _)| segment));
        }
        segments.sort_by_key(|segment| std::cmp::Reverse(segment.range.end - segment.range.start));
        Self { segments }
    }

    /// Returns the number of bytes to read.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.range.end - segment.range.start).fold(0, u64::saturating_add)
    }

    /// Returns the requested frames.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &PackFrame> {
        self.segments.iter().flat_map(|segment| &segment.frames)
    }
}

/// Maximum size of one request in bytes.
const MAX_REQUEST_BYTES: u64 = 8 << 20;
/// Size of an entry from which its compression is checked, in bytes.
const MAX_UNCHECKED_BYTES: u64 = 16 << 20;
/// How many times larger than its compressed data an entry may be; wheels are up to about 20 times.
const MAX_COMPRESSION_RATIO: u64 = 500;
/// Segments are kept in memory up to this size, and longer ones in a file, until they are checked.
const MAX_MEMORY_BYTES: usize = 32 << 20;

/// Result of a download.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DownloadReport {
    /// Names of the downloaded packages that are new in the store.
    pub packages: Vec<String>,
    /// Number of other new entries: bytecode, environments, directories.
    pub other_entries: usize,
    /// Bytes read from the remote cache.
    pub bytes: u64,
    /// Entries that could not be downloaded.
    pub failures: Vec<DownloadFailure>,
    /// Duration in seconds.
    pub seconds: f64,
}

/// An entry that could not be downloaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DownloadFailure {
    /// Display name, such as `numpy 2.4.5`.
    pub name: String,
    /// The error message.
    pub reason: String,
}

/// Why an entry cannot be downloaded.
#[derive(Debug, Error)]
pub(super) enum DownloadError {
    /// The pack was deleted.
    #[error("its pack no longer exists")]
    MissingPack,
    /// The pack ends before the frame does.
    #[error("its pack is shorter than the manifest states")]
    TruncatedPack,
    /// The frame is larger than an entry may be; the limit in bytes.
    #[error("it has more than {0} bytes, the largest size of an entry")]
    TooLarge(u64),
    /// Uncompressed, it is far larger than packages are, or all entries together are larger than the store may be.
    #[error("with {0} bytes it is larger than the store may become, or far larger than its data in the remote cache")]
    TooManyBytes(u64),
    /// The frame was changed or corrupted.
    #[error("its digest differs from the manifest")]
    DigestMismatch,
    /// The manifest contains an invalid entry ID.
    #[error("it has no valid entry ID")]
    InvalidId,
    /// The project has a `noxide.sums` without this wheel.
    #[error("it is not in noxide.sums")]
    NotInChecksums,
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The content of the frame was refused.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl DownloadReport {
    /// Adds the result of another download of the same run.
    pub(crate) fn merge(&mut self, other: Self) {
        self.packages.extend(other.packages);
        self.packages.sort();
        self.other_entries += other.other_entries;
        self.failures.extend(other.failures);
        (self.bytes, self.seconds) = (self.bytes + other.bytes, self.seconds + other.seconds);
    }
}

impl RemoteCache {
    /// Downloads the planned entries into the store. An entry that fails is reported and skipped; uv downloads the package.
    pub fn download(&self, plan: &DownloadPlan, store: &Store, progress: &dyn ProgressReporter) -> DownloadReport {
        let started = Instant::now();
        let total =
            WorkAmount { entries: plan.frames().count() as u64, bytes: plan.total_bytes(), ..WorkAmount::default() };
        progress.start_phase(CachePhase::Restore, total);
        let (report, budget) = (
            Mutex::new(DownloadReport::default()),
            ImportBudget::new(store.options().max_size.max(StoreOptions::DEFAULT_MAX_SIZE)),
        );
        parallel_map(&plan.segments, |segment| {
            let (bytes, results) = self.download_segment(segment, store, &budget);
            progress.advance(WorkAmount { entries: results.len() as u64, bytes, ..WorkAmount::default() });
            let mut report = report.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            report.bytes += bytes;
            for (frame, result) in segment.frames.iter().zip(results) {
                match result {
                    Ok(PublishOutcome::New(_)) if frame.entry_id().is_some_and(|id| id.kind.is_resaved()) => {
                        report.other_entries += 1;
                    }
                    Ok(PublishOutcome::New(_)) => report.packages.push(frame.name.clone()),
                    Ok(PublishOutcome::AlreadyExists) => {}
                    Err(failure) => report.failures.push(failure),
                }
            }
        });
        progress.finish_phase();
        let mut report = report.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        report.packages.sort();
        report.failures.sort_by(|one, other| one.name.cmp(&other.name));
        report.seconds = started.elapsed().as_secs_f64();
        report
    }

    /// Reads one segment and imports its frames; returns the bytes read and the result for each frame.
    fn download_segment(
        &self,
        segment: &PackSegment,
        store: &Store,
        budget: &ImportBudget,
    ) -> (u64, Vec<Result<PublishOutcome, DownloadFailure>>) {
        let failure = |frame: &PackFrame, error: &DownloadError| DownloadFailure {
            name: frame.name.clone(),
            reason: error.to_string(),
        };
        let mut bytes = tempfile::SpooledTempFile::new(MAX_MEMORY_BYTES);
        let read = match self.read_segment(segment, &mut bytes, store.options().max_entry_size) {
            Ok(read) => read,
            Err(error) => return (0, segment.frames.iter().map(|frame| Err(failure(frame, &error))).collect()),
        };
        let import = |frame: &PackFrame| {
            let imported = self.import_frame(frame, segment.range.start, &mut bytes, (store, budget));
            imported.map_err(|error| failure(frame, &error))
        };
        (read, segment.frames.iter().map(import).collect())
    }

    /// Reads a segment in requests of limited size.
    pub(super) fn read_segment(
        &self,
        segment: &PackSegment,
        to: &mut dyn Write,
        max_frame_bytes: u64,
    ) -> Result<u64, DownloadError> {
        // Not even a compressed entry is larger than the limit of one.
        if segment.frames.iter().any(|frame| frame.length > max_frame_bytes) {
            return Err(DownloadError::TooLarge(max_frame_bytes));
        }
        let mut position = segment.range.start;
        while position < segment.range.end {
            let request = position..segment.range.end.min(position + MAX_REQUEST_BYTES);
            let bytes = self.backend.get_range(&segment.pack_key, request.clone())?;
            let bytes = bytes.ok_or(DownloadError::MissingPack)?;
            if bytes.len() as u64 != request.end - request.start {
                return Err(DownloadError::TruncatedPack);
            }
            to.write_all(&bytes)?;
            position = request.end;
        }
        Ok(segment.range.end - segment.range.start)
    }

    fn import_frame(
        &self,
        frame: &PackFrame,
        start: u64,
        bytes: &mut tempfile::SpooledTempFile,
        (store, budget): (&Store, &ImportBudget),
    ) -> Result<PublishOutcome, DownloadError> {
        let id = frame.entry_id().ok_or(DownloadError::InvalidId)?;
        if let Some(limit) = id.max_bytes().filter(|limit| frame.uncompressed_length > 2 * limit) {
            return Err(DownloadError::TooLarge(limit));
        }
        if has_implausible_size(frame.uncompressed_length, frame.length)
            || !budget.try_use_bytes(frame.uncompressed_length)
        {
            return Err(DownloadError::TooManyBytes(frame.uncompressed_length));
        }
        let from = SeekFrom::Start(frame.offset - start);
        bytes.seek(from)?;
        let mut hasher = blake3::Hasher::new();
        io::copy(&mut bytes.take(frame.length), &mut hasher)?;
        if hasher.finalize().to_hex().as_str() != frame.frame_digest {
            return Err(DownloadError::DigestMismatch);
        }
        bytes.seek(from)?;
        let expected_tree =
            self.checksums.as_ref().map_or(Some(frame.tree_digest.as_str()), |checksums| checksums.expected_tree(&id));
        let expected_tree = expected_tree.ok_or(DownloadError::NotInChecksums)?;
        let decoder = zstd::Decoder::new(bytes.take(frame.length))?;
        let trust = FrameTrust { expected_tree, trusts_metadata: self.checksums.is_none() };
        Ok(read_frame(store, &id, &mut decoder.take(frame.uncompressed_length), trust, budget)?)
    }
}

/// Returns whether the bytes of a frame have the digest in the manifest.
pub(super) fn is_frame_intact(frame: &PackFrame, bytes: &[u8]) -> bool {
    let mut hasher = blake3::Hasher::new();
    let copied = std::io::copy(&mut Cursor::new(bytes), &mut hasher);
    copied.is_ok() && hasher.finalize().to_hex().as_str() == frame.frame_digest
}

/// Returns whether an entry is far larger than its compressed data, as no package is.
fn has_implausible_size(uncompressed: u64, compressed: u64) -> bool {
    uncompressed > MAX_UNCHECKED_BYTES && uncompressed / MAX_COMPRESSION_RATIO > compressed
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_entry_of_zeros_has_an_implausible_size() {
        assert!(has_implausible_size(200_000_000, 9_000) && has_implausible_size(16_000_000_000, 1_000_000));
        assert!(!has_implausible_size(200_000_000, 10_000_000) && !has_implausible_size(10_000_000, 100));
        let budget = ImportBudget::new(100);
        assert!(budget.try_use_bytes(60) && !budget.try_use_bytes(60) && budget.try_use_bytes(40));
    }

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_and_small_gaps_are_read_in_one_request() {
        let plan = DownloadPlan::new([
            PackFrame::at("a", 0, 1_000),
            PackFrame::at("a", 1_000, 500),
            PackFrame::at("a", 1_550, 100),
            PackFrame::at("b", 7, 3),
        ]);
        assert_eq!(
            plan.segments.iter().map(|s| (s.pack_key.as_str(), s.range.clone())).collect::<Vec<_>>(),
            [("a", 0..1_650), ("b", 7..10)]
        );
        assert_eq!((plan.total_bytes(), plan.frames().count()), (1_653, 4));
        let plan = DownloadPlan::new([
            PackFrame::at("a", 0, 100),
            PackFrame::at("a", 5_000, 100),
            PackFrame::at("a", 6_000, MAX_SEGMENT_BYTES),
            PackFrame::at("a", 0, 100),
        ]);
        assert_eq!(plan.segments.len(), 3);
    }

    proptest! {
        /// Each frame is read once, and with gaps of random size little more than the requested bytes is read.
        #[test]
        fn little_more_than_requested_is_read(parts in prop::collection::vec((1..3_000_000_u64, any::<bool>()), 1..60)) {
            let mut position = 0;
            let mut requested = Vec::new();
            for (length, is_requested) in parts {
                requested.extend(is_requested.then(|| PackFrame::at("p", position, length)));
                position += length;
            }
            let requested_bytes: u64 = requested.iter().map(|frame| frame.length).sum();
            let plan = DownloadPlan::new(requested.clone());
            let mut read: Vec<PackFrame> = plan.frames().cloned().collect();
            read.sort_by_key(|frame| frame.offset);
            prop_assert_eq!(&read, &requested);
            prop_assert!(plan.total_bytes() <= requested_bytes + requested_bytes / 10);
            for segment in &plan.segments {
                prop_assert!(segment.frames.iter().all(|f| f.offset >= segment.range.start && f.offset + f.length <= segment.range.end));
                prop_assert!(segment.frames.len() == 1 || segment.range.end - segment.range.start <= MAX_SEGMENT_BYTES);
            }
        }
    }
}
