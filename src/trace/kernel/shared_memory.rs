//! Shared memory accessed only through atomics, since other processes may change it at any time.
#![allow(unsafe_code)] // only here and in `system.rs`; each use states why it is sound

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use libc::c_void;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

/// Shared memory that other processes can open by [`SharedMemory::proc_fd_path`]; initially zero.
#[derive(Debug)]
pub(super) struct SharedMemory {
    descriptor: OwnedFd,
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory is accessed through atomics only, and nothing about it belongs to the thread that mapped it.
unsafe impl Send for SharedMemory {}

impl SharedMemory {
    /// Allocates `length` bytes.
    ///
    /// # Errors
    /// If the system cannot provide the memory.
    pub(super) fn new(length: usize) -> io::Result<Self> {
        let descriptor = memfd_create("noxide-trace-ring", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&descriptor, length as u64)?;
        // Another process that shortens it would end this one with SIGBUS.
        fcntl_add_seals(&descriptor, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let fd = descriptor.as_raw_fd();
        // SAFETY: a new mapping at an address chosen by the kernel overlaps no existing memory.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, libc::MAP_SHARED, fd, 0) };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast::<c_void>() != libc::MAP_FAILED => {
                Ok(Self { descriptor, start, length })
            }
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Returns a path by which other processes of this user open the memory while this process lives.
    pub(super) fn proc_fd_path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.descriptor.as_raw_fd())
    }

    /// Returns a pointer to an aligned value that lies completely inside the memory.
    fn pointer_at<T>(&self, offset: usize) -> NonNull<T> {
        assert!(
            offset.is_multiple_of(align_of::<T>()) && offset + size_of::<T>() <= self.length,
            "outside the mapping"
        );
        // SAFETY: the offset was just checked to be inside the mapping, which lives as long as `self`.
        unsafe { self.start.add(offset) }.cast()
    }

    pub(super) fn atomic_u64(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: mapped and aligned (`pointer_at`; a mapping starts at a page), and any bits are a valid value.
        unsafe { self.pointer_at::<AtomicU64>(offset).as_ref() }
    }

    pub(super) fn atomic_u32(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { self.pointer_at::<AtomicU32>(offset).as_ref() }
    }

    pub(super) fn read_byte(&self, offset: usize) -> u8 {
        // SAFETY: as above.
        unsafe { self.pointer_at::<AtomicU8>(offset).as_ref() }.load(Ordering::Relaxed)
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: exactly the mapped range, and no reference into it outlives `self`.
        let _ = unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_processes_see_writes() {
        let mapping = SharedMemory::new(8192).unwrap();
        mapping.atomic_u64(64).store(0x0102, Ordering::Relaxed);
        mapping.atomic_u32(8188).store(7, Ordering::Relaxed);
        let seen = fs_err::read(mapping.proc_fd_path()).unwrap();
        assert_eq!((seen.len(), seen[64], seen[65], seen[8188]), (8192, 2, 1, 7));
        assert_eq!(mapping.read_byte(64), 2);
        let other = fs_err::OpenOptions::new().write(true).open(mapping.proc_fd_path()).unwrap();
        assert!(other.set_len(0).is_err(), "another process cannot shorten it");
        assert!(SharedMemory::new(usize::MAX).is_err());
    }

    #[test]
    #[should_panic(expected = "outside the mapping")]
    fn offsets_outside_the_memory_panic() {
        SharedMemory::new(4096).unwrap().atomic_u64(4092);
    }
}
