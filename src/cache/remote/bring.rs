//! Entries brought from elsewhere into the store: read in parts, each frame checked before a byte of it is used.

use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::sync::Mutex;
use std::time::Instant;

use serde::Serialize;

use super::bring_plan::{BringPlan, Segment};
use super::frame;
use super::manifest::Frame;
use super::view::Remote;
use crate::cache::progress::{Amount, Phase, Progress};
use crate::cache::store::{Published, Store};
use crate::fs::in_parallel;

/// The most that one request asks for.
const PIECE: u64 = 8 << 20;
/// What is larger is kept in a file until it is checked.
const MEMORY: usize = 32 << 20;

/// What was brought.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Brought {
    /// Names of the packages that are new in the store.
    pub entries: Vec<String>,
    /// How many others are: bytecode, environments, folders.
    pub others: usize,
    /// Bytes that were read from elsewhere.
    pub bytes: u64,
    /// What was planned and not brought.
    pub failed: Vec<NotBrought>,
    /// How long it took.
    pub seconds: f64,
}

/// One entry that was not brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotBrought {
    /// Its name and version.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl Brought {
    /// Adds what was brought for another session of the same run.
    pub fn add(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.entries.sort();
        self.others += other.others;
        self.failed.extend(other.failed);
        (self.bytes, self.seconds) = (self.bytes + other.bytes, self.seconds + other.seconds);
    }
}

impl Remote {
    /// Brings what is planned into the store. What fails is named and left: whoever needs it fetches it as without us.
    pub fn bring(&self, plan: &BringPlan, store: &Store, progress: &dyn Progress) -> Brought {
        let begun = Instant::now();
        let total = Amount { entries: plan.frames().count() as u64, bytes: plan.bytes(), ..Amount::default() };
        progress.begin(Phase::Restore, total);
        let brought = Mutex::new(Brought::default());
        in_parallel(&plan.segments, |segment| {
            let (bytes, results) = self.segment(segment, store);
            progress.advance(Amount { entries: results.len() as u64, bytes, ..Amount::default() });
            let mut brought = brought.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            brought.bytes += bytes;
            for (frame, result) in segment.frames.iter().zip(results) {
                match result {
                    Ok(Published::New(_)) if frame.id().is_some_and(|id| id.kind.is_state()) => brought.others += 1,
                    Ok(Published::New(_)) => brought.entries.push(frame.name.clone()),
                    Ok(Published::AlreadyThere) => {}
                    Err(reason) => brought.failed.push(NotBrought { name: frame.name.clone(), reason }),
                }
            }
        });
        progress.end();
        let mut brought = brought.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        brought.entries.sort();
        brought.failed.sort_by(|one, other| one.name.cmp(&other.name));
        brought.seconds = begun.elapsed().as_secs_f64();
        brought
    }

    /// Reads one part of a pack and takes its frames; gives the bytes read and each frame's result.
    fn segment(&self, segment: &Segment, store: &Store) -> (u64, Vec<Result<Published, String>>) {
        let mut bytes = tempfile::SpooledTempFile::new(MEMORY);
        let read = match self.read(segment, &mut bytes) {
            Ok(read) => read,
            Err(why) => return (0, segment.frames.iter().map(|_| Err(why.clone())).collect()),
        };
        let take = |frame: &Frame| self.take(frame, segment.range.start, &mut bytes, store);
        (read, segment.frames.iter().map(take).collect())
    }

    /// The bytes of a range, piece by piece.
    pub(super) fn read(&self, segment: &Segment, to: &mut dyn Write) -> Result<u64, String> {
        let mut at = segment.range.start;
        while at < segment.range.end {
            let piece = at..segment.range.end.min(at + PIECE);
            let bytes = match self.backend.get(&segment.pack, piece.clone()) {
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

    fn take(
        &self,
        frame: &Frame,
        start: u64,
        bytes: &mut tempfile::SpooledTempFile,
        store: &Store,
    ) -> Result<Published, String> {
        let id = frame.id().ok_or("its name is none")?;
        let from = SeekFrom::Start(frame.offset - start);
        let told = |error: std::io::Error| error.to_string();
        bytes.seek(from).map_err(told)?;
        let mut hasher = blake3::Hasher::new();
        std::io::copy(&mut bytes.take(frame.length), &mut hasher).map_err(told)?;
        if hasher.finalize().to_hex().as_str() != frame.digest {
            return Err("its bytes are not those that the manifest names".to_owned());
        }
        bytes.seek(from).map_err(told)?;
        let tree = self.sums.as_ref().map_or(Some(frame.tree.as_str()), |sums| sums.tree(&id));
        let tree = tree.ok_or("it is not in noxide.sums")?;
        let decoder = zstd::Decoder::new(bytes.take(frame.length)).map_err(told)?;
        frame::read(store, &id, &mut decoder.take(frame.raw), Some(tree)).map_err(|error| error.to_string())
    }
}

/// The content of a frame whose bytes are in memory, checked; for packs that are rewritten.
pub(super) fn checked(frame: &Frame, bytes: &[u8]) -> bool {
    let mut hasher = blake3::Hasher::new();
    let copied = std::io::copy(&mut Cursor::new(bytes), &mut hasher);
    copied.is_ok() && hasher.finalize().to_hex().as_str() == frame.digest
}
