//! Entries brought from elsewhere into the store: read in parts, each frame checked before a byte of it is used.

use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::sync::Mutex;
use std::time::Instant;

use serde::Serialize;

use super::download_plan::{DownloadPlan, PackSegment};
use super::frame;
use super::manifest::PackFrame;
use super::snapshot::RemoteStore;
use crate::cache::progress::{CachePhase, ProgressReporter, WorkAmount};
use crate::cache::store::{PublishOutcome, Store};
use crate::fs::parallel_map;

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
        frame::read_frame(store, &id, &mut decoder.take(frame.uncompressed_length), Some(tree))
            .map_err(|error| error.to_string())
    }
}

/// The content of a frame whose bytes are in memory, checked; for packs that are rewritten.
pub(super) fn is_frame_intact(frame: &PackFrame, bytes: &[u8]) -> bool {
    let mut hasher = blake3::Hasher::new();
    let copied = std::io::copy(&mut Cursor::new(bytes), &mut hasher);
    copied.is_ok() && hasher.finalize().to_hex().as_str() == frame.frame_digest
}
