//! Preload ring: file accesses recorded by traced programs themselves (`preload.c`) instead of by system calls that
//! the kernel stops.
//!
//! A stopped call costs two context switches, 10 to 17 µs; a recorded event about a tenth of that. The programs of one
//! session write events into slots of memory shared with noxide. Events are read, in order, before any stopped call of
//! that session continues, so each is processed before the session can change a file after it.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use rustix::fs::{StatVfsMountFlags, statvfs};
use tempfile::TempDir;

use super::shared_memory::SharedMemory;
use crate::fs::{create_dirs, write_atomic};

/// The library; empty if none could be built.
const LIBRARY_BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/preload.so"));

// Memory layout, shared with `preload.c`.
const SLOT_COUNT: usize = 1024;
const SLOT_SIZE: usize = 512;
const SLOTS_OFFSET: usize = 4096;
const COOKIE_OFFSET: usize = 0;
const GENERATION_OFFSET: usize = 8;
const HEAD_OFFSET: usize = 64;
const TAIL_OFFSET: usize = 128;
const SLOT_STATE_OFFSET: usize = 0; // in a slot
const SLOT_LENGTH_OFFSET: usize = 4; // two bytes, then one with the kind, and one that is 1 in a program of an install
const SLOT_FLAGS_OFFSET: usize = 8;
const SLOT_PATH_OFFSET: usize = 12;
const SLOT_FREE: u32 = 0;
const SLOT_READY: u32 = 1;

/// One recorded access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PreloadEvent {
    /// The metadata of a file was read.
    Stat {
        /// Whether a link in the last component is not followed.
        no_follow: bool,
    },
    /// A link was read.
    ReadLink,
    /// A file was opened for reading, with these flags.
    Open(u32),
}

/// Returns a value of a call's sixth argument that lets the call pass the filter.
///
/// It is unlikely to be in a register by chance. Both halves differ from zero, because the filter compares each of them.
pub(super) fn new_cookie() -> u64 {
    RandomState::new().hash_one(std::process::id()) | 1 << 63 | 1
}

/// Ring buffer of events of one session.
#[derive(Debug)]
pub(super) struct PreloadRing {
    memory: SharedMemory,
    cookie: u64,
    /// Sequence number of the first unread slot.
    tail: u64,
    /// Slots after `tail` that were read already, while a suspended program has not finished writing an earlier one.
    consumed: Vec<bool>,
}

impl PreloadRing {
    /// Creates an empty ring.
    ///
    /// # Errors
    /// If shared memory cannot be allocated.
    pub(super) fn new() -> io::Result<Self> {
        let memory = SharedMemory::new(SLOTS_OFFSET + SLOT_COUNT * SLOT_SIZE)?;
        let cookie = new_cookie();
        memory.atomic_u64(COOKIE_OFFSET).store(cookie, Ordering::Relaxed);
        Ok(Self { memory, cookie, tail: 0, consumed: vec![false; SLOT_COUNT] })
    }

    /// Returns the value of a call's sixth argument that marks the call as recorded.
    pub(super) fn cookie(&self) -> u64 {
        self.cookie
    }

    /// Returns the value of `NOXIDE_TRACE_RING`, which contains the cookie and the path of the memory.
    pub(super) fn env_value(&self) -> String {
        format!("{:x}:{}", self.cookie, self.memory.proc_fd_path())
    }

    /// Reads the next event into `path`; returns it, and whether its program is part of an install.
    pub(super) fn next_event(&mut self, path: &mut Vec<u8>) -> Option<(PreloadEvent, bool)> {
        let head = self.memory.atomic_u64(HEAD_OFFSET).load(Ordering::Acquire).min(self.tail + SLOT_COUNT as u64);
        for number in self.tail..head {
            let index = usize::try_from(number % SLOT_COUNT as u64).ok()?;
            let slot = SLOTS_OFFSET + index * SLOT_SIZE;
            if self.consumed[index]
                || self.memory.atomic_u32(slot + SLOT_STATE_OFFSET).load(Ordering::Acquire) != SLOT_READY
            {
                continue;
            }
            let event = self.read_slot(slot, path);
            self.memory.atomic_u32(slot + SLOT_STATE_OFFSET).store(SLOT_FREE, Ordering::Relaxed);
            self.consumed[index] = true;
            self.release_slots(head);
            if event.is_some() {
                return event;
            }
        }
        None
    }

    fn read_slot(&self, slot: usize, path: &mut Vec<u8>) -> Option<(PreloadEvent, bool)> {
        let [low, high, kind, is_install] =
            self.memory.atomic_u32(slot + SLOT_LENGTH_OFFSET).load(Ordering::Relaxed).to_ne_bytes();
        let length = usize::from(u16::from_ne_bytes([low, high])).min(SLOT_SIZE - SLOT_PATH_OFFSET);
        path.clear();
        path.extend((0..length).map(|at| self.memory.read_byte(slot + SLOT_PATH_OFFSET + at)));
        let event = match kind {
            1 | 2 => PreloadEvent::Stat { no_follow: kind == 2 },
            3 => PreloadEvent::ReadLink,
            4 => PreloadEvent::Open(self.memory.atomic_u32(slot + SLOT_FLAGS_OFFSET).load(Ordering::Relaxed)),
            _ => return None,
        };
        Some((event, is_install == 1))
    }

    /// Releases the slots up to the first unread one.
    fn release_slots(&mut self, head: u64) {
        while self.tail < head {
            let index = usize::try_from(self.tail % SLOT_COUNT as u64).unwrap_or(0);
            if !std::mem::take(&mut self.consumed[index]) {
                break;
            }
            self.tail += 1;
        }
        self.memory.atomic_u64(TAIL_OFFSET).store(self.tail, Ordering::Release);
    }

    /// Starts a new generation. A program records each access once per generation, so now it records all of them again.
    pub(super) fn start_generation(&self) {
        self.memory.atomic_u32(GENERATION_OFFSET).fetch_add(1, Ordering::AcqRel);
    }
}

/// The preload library as a file.
#[derive(Debug)]
pub(crate) struct PreloadLibrary {
    path: String,
    /// Temporary directory of the library, if the requested directory could not be used.
    _temp_directory: Option<TempDir>,
}

impl PreloadLibrary {
    /// Installs the library in `directory`, or in a temporary directory if that path contains a blank or a colon, which
    /// separate entries in `LD_PRELOAD`.
    ///
    /// Returns `None` if there is no library for this processor, or if libraries cannot be loaded from there.
    pub(crate) fn install(directory: &Path) -> Option<Self> {
        if LIBRARY_BYTES.is_empty() {
            return None;
        }
        create_dirs(directory).ok()?;
        let directory = fs_err::canonicalize(directory).ok()?;
        if is_preload_path(&directory) {
            return Self::write_to_directory(&directory, None);
        }
        let temp_directory = tempfile::Builder::new().prefix("noxide-trace-").tempdir().ok()?;
        let directory =
            fs_err::canonicalize(temp_directory.path()).ok().filter(|directory| is_preload_path(directory))?;
        Self::write_to_directory(&directory, Some(temp_directory))
    }

    fn write_to_directory(directory: &Path, temp_directory: Option<TempDir>) -> Option<Self> {
        let path = directory.join(format!("preload-{}.so", &blake3::hash(LIBRARY_BYTES).to_hex().as_str()[..16]));
        if fs_err::read(&path).ok().as_deref() != Some(LIBRARY_BYTES) {
            write_atomic(&path, LIBRARY_BYTES).ok()?;
        }
        let is_noexec = statvfs(&path).ok()?.f_flag.contains(StatVfsMountFlags::NOEXEC);
        let path = path.to_str().filter(|_| !is_noexec)?.to_owned();
        Some(Self { path, _temp_directory: temp_directory })
    }

    /// Returns the value for `LD_PRELOAD`.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

fn is_preload_path(path: &Path) -> bool {
    !path.as_os_str().as_encoded_bytes().iter().any(|byte| byte.is_ascii_whitespace() || *byte == b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Claims a slot as a program does, and fills it if `ready`.
    fn push_event(ring: &PreloadRing, kind: u8, flags: u32, path: &str, ready: bool) -> usize {
        let number = ring.memory.atomic_u64(HEAD_OFFSET).fetch_add(1, Ordering::AcqRel);
        let slot = SLOTS_OFFSET + usize::try_from(number % SLOT_COUNT as u64).unwrap() * SLOT_SIZE;
        let [low, high] = u16::try_from(path.len()).unwrap().to_ne_bytes();
        ring.memory
            .atomic_u32(slot + SLOT_LENGTH_OFFSET)
            .store(u32::from_ne_bytes([low, high, kind, 0]), Ordering::Relaxed);
        ring.memory.atomic_u32(slot + SLOT_FLAGS_OFFSET).store(flags, Ordering::Relaxed);
        for (at, bytes) in path.as_bytes().chunks(4).enumerate() {
            let mut four = [0; 4];
            four[..bytes.len()].copy_from_slice(bytes);
            ring.memory.atomic_u32(slot + SLOT_PATH_OFFSET + 4 * at).store(u32::from_ne_bytes(four), Ordering::Relaxed);
        }
        ring.memory.atomic_u32(slot + SLOT_STATE_OFFSET).store(u32::from(ready), Ordering::Release);
        slot
    }

    fn read_all(ring: &mut PreloadRing) -> Vec<(PreloadEvent, String)> {
        let mut path = Vec::new();
        std::iter::from_fn(|| {
            ring.next_event(&mut path).map(|(event, _)| (event, String::from_utf8(path.clone()).unwrap()))
        })
        .collect()
    }

    #[test]
    fn events_are_read_once_and_in_order() {
        let mut ring = PreloadRing::new().unwrap();
        for round in 0..3 {
            for number in 0..SLOT_COUNT {
                push_event(&ring, 1, 0, &format!("/{round}/{number}"), true);
            }
            let read = read_all(&mut ring);
            assert_eq!((read.len(), read[5].1.as_str()), (SLOT_COUNT, format!("/{round}/5").as_str()));
            assert_eq!(ring.memory.atomic_u64(TAIL_OFFSET).load(Ordering::Relaxed), (round + 1) * SLOT_COUNT as u64);
        }
        push_event(&ring, 2, 0, "/link", true);
        push_event(&ring, 3, 0, "/link", true);
        push_event(&ring, 9, 0, "/what", true);
        push_event(&ring, 4, 0o2000, "/file", true);
        let kinds: Vec<PreloadEvent> = read_all(&mut ring).into_iter().map(|(event, _)| event).collect();
        assert_eq!(kinds, [PreloadEvent::Stat { no_follow: true }, PreloadEvent::ReadLink, PreloadEvent::Open(0o2000)]);
    }

    #[test]
    fn a_suspended_writer_does_not_hide_later_events() {
        let mut ring = PreloadRing::new().unwrap();
        let slot = push_event(&ring, 1, 0, "/half", false);
        push_event(&ring, 1, 0, "/whole", true);
        assert_eq!(read_all(&mut ring), [(PreloadEvent::Stat { no_follow: false }, "/whole".to_owned())]);
        assert_eq!(read_all(&mut ring), []);
        assert_eq!(ring.memory.atomic_u64(TAIL_OFFSET).load(Ordering::Relaxed), 0, "the slot is not released");
        ring.memory.atomic_u32(slot + SLOT_STATE_OFFSET).store(SLOT_READY, Ordering::Release);
        assert_eq!(read_all(&mut ring)[0].1, "/half");
        assert_eq!(ring.memory.atomic_u64(TAIL_OFFSET).load(Ordering::Relaxed), 2);
    }

    #[test]
    fn the_library_is_written_once_and_can_be_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let Some(first) = PreloadLibrary::install(directory.path()) else {
            assert!(LIBRARY_BYTES.is_empty());
            return;
        };
        fs_err::write(first.path(), "damaged").unwrap();
        assert_eq!(PreloadLibrary::install(directory.path()).unwrap().path(), first.path());
        assert_eq!(fs_err::read(first.path()).unwrap(), LIBRARY_BYTES);
        let other = PreloadLibrary::install(&directory.path().join("a b")).unwrap();
        let path = std::path::PathBuf::from(other.path());
        assert!(!other.path().contains(' ') && path.is_file());
        drop(other);
        assert!(!path.exists());
        assert!(PreloadLibrary::install(Path::new("/proc/nowhere")).is_none());
    }
}
