//! Kernel calls without a safe interface: the seccomp listener and the memory of other processes.
#![allow(unsafe_code)] // only here and in `shared_memory.rs`; each use states why it is sound

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_long, c_ulong, c_void};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// A stopped call that waits for a response.
pub(super) use libc::seccomp_notif as SeccompNotification;

/// Flag that wakes the receiver of a call or response on the same CPU (since Linux 6.6).
const SYNC_WAKE_UP: u64 = 1;

/// Page size in bytes; readable memory ends at a page boundary.
const PAGE_SIZE: usize = 4096;

/// Receives the next stopped call, or `None` if its process was killed meanwhile.
pub(super) fn receive_notification(listener: BorrowedFd<'_>) -> io::Result<Option<SeccompNotification>> {
    // SAFETY: `seccomp_notif` is plain integers, for which zero is valid; the kernel requires zeros.
    let mut notification: SeccompNotification = unsafe { zeroed() };
    // SAFETY: the request takes a pointer to a `seccomp_notif`, which outlives the call.
    let done = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut notification) };
    if done == 0 {
        return Ok(Some(notification));
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EINTR | libc::ENOENT) => Ok(None),
        _ => Err(error),
    }
}

/// Lets a call continue, or fail with `failure`; if its process has exited, no response is needed.
pub(super) fn send_response(listener: BorrowedFd<'_>, id: u64, failure: Option<Errno>) {
    let continue_flag = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap_or(1);
    let (error, flags) = failure.map_or((0, continue_flag), |error| (-error.raw_os_error(), 0));
    let mut response = libc::seccomp_notif_resp { id, val: 0, error, flags };
    // SAFETY: the request takes a pointer to a `seccomp_notif_resp`, which outlives the call.
    let _ = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response) };
}

/// Enables synchronous wake-ups between caller and supervisor, if the kernel supports them.
pub(super) fn enable_sync_wakeup(listener: BorrowedFd<'_>) {
    // SAFETY: the request takes its flags by value.
    let _ = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) };
}

/// Reads up to `max_len` bytes at an address of another process; fewer at the end of its memory.
pub(super) fn read_process_bytes(process: u32, address: u64, max_len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0_u8; max_len];
    let read = read_process_memory(process, address, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

fn read_process_memory(process: u32, address: u64, into: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast::<c_void>(), iov_len: into.len() };
    let remote = libc::iovec { iov_base: address as usize as *mut c_void, iov_len: into.len() };
    let process = libc::pid_t::try_from(process).map_err(io::Error::other)?;
    // SAFETY: `local` describes `into`, which outlives the call; `remote` is an address in the other process only.
    let read = unsafe { libc::process_vm_readv(process, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

/// Reads a zero-terminated string at an address of another process; returns false if it is too long for a path.
pub(super) fn read_process_string(process: u32, address: u64, into: &mut Vec<u8>) -> io::Result<bool> {
    into.clear();
    let mut position = address;
    // Page by page, since the page after the terminator may not be readable.
    while into.len() <= libc::PATH_MAX as usize {
        let start = into.len();
        let chunk_len = (PAGE_SIZE - (position as usize % PAGE_SIZE)).min(if start == 0 { 512 } else { PAGE_SIZE });
        into.resize(start + chunk_len, 0);
        let read = read_process_memory(process, position, &mut into[start..])?;
        if let Some(end) = into[start..start + read].iter().position(|byte| *byte == 0) {
            into.truncate(start + end);
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
        into.truncate(start + read);
        position += read as u64;
    }
    Ok(false)
}

/// Installs a filter for this thread and returns its listener; a filter cannot be removed.
pub(super) fn install_filter(filter: &[u8], flags: u64) -> io::Result<OwnedFd> {
    let length = u16::try_from(filter.len() / 8).map_err(io::Error::other)?;
    let mut steps: Vec<libc::sock_filter> = Vec::with_capacity(usize::from(length));
    for step in filter.chunks_exact(8) {
        let mut slot = MaybeUninit::<libc::sock_filter>::uninit();
        // SAFETY: a `sock_filter` is eight bytes of integers, for which any bytes are valid; both sides hold eight.
        let step = unsafe {
            std::ptr::copy_nonoverlapping(step.as_ptr(), slot.as_mut_ptr().cast::<u8>(), 8);
            slot.assume_init()
        };
        steps.push(step);
    }
    let program = libc::sock_fprog { len: length, filter: steps.as_mut_ptr() };
    let operation = libc::SECCOMP_SET_MODE_FILTER as c_ulong;
    let install = || -> io::Result<OwnedFd> {
        // SAFETY: the kernel copies `program` and what it points to, which outlive the call.
        let fd: c_long = unsafe { libc::syscall(libc::SYS_seccomp, operation, flags as c_ulong, &raw const program) };
        let fd = i32::try_from(fd).map_err(io::Error::other)?;
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just created this descriptor, and nothing else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    };
    match install() {
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => {
            rustix::thread::set_no_new_privs(true)?;
            install()
        }
        other => other,
    }
}

/// Returns whether [`receive_notification`] returns once no process uses the filter: since Linux 6.11 (`seccomp:
/// interrupt SECCOMP_IOCTL_NOTIF_RECV when all users have exited`). Older kernels wait forever.
pub(super) fn is_receive_interrupted_at_end() -> bool {
    is_release_at_least(&rustix::system::uname().release().to_string_lossy(), (6, 11))
}

/// Returns whether a kernel release such as `6.18.4-something` is at least `minimum`.
fn is_release_at_least(release: &str, minimum: (u32, u32)) -> bool {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit()).map(str::parse);
    matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= minimum)
}

/// Returns whether the listener has a waiting call, or `None` once no process uses the filter.
pub(super) fn poll_listener(listener: &impl AsFd, timeout: Option<&Timespec>) -> Option<bool> {
    let mut poll_fds = [PollFd::new(listener, PollFlags::IN)];
    match poll(&mut poll_fds, timeout) {
        Ok(_) => {
            let events = poll_fds[0].revents();
            if events.contains(PollFlags::IN) {
                Some(true)
            } else if events.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                None
            } else {
                Some(false)
            }
        }
        Err(Errno::INTR | Errno::AGAIN) => Some(false),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_read_up_to_the_terminator() {
        let own = std::process::id();
        let long = format!("/{}", "x".repeat(3_000));
        let string = std::ffi::CString::new(long.clone()).unwrap();
        let mut text_read = Vec::new();
        assert!(read_process_string(own, string.as_ptr() as u64, &mut text_read).unwrap());
        assert_eq!(text_read, long.as_bytes());
        let endless = vec![b'y'; 3 * PAGE_SIZE];
        assert!(!read_process_string(own, endless.as_ptr() as u64, &mut text_read).unwrap());
        assert!(read_process_string(own, 8, &mut text_read).is_err());
        assert_eq!(read_process_bytes(own, endless.as_ptr() as u64, 4).unwrap(), b"yyyy");
    }

    #[test]
    fn kernel_releases_are_compared_numerically() {
        for (release, newer) in [
            ("6.18.44-fc-v657", true),
            ("6.11.0", true),
            ("7.0", true),
            ("6.9.1", false),
            ("5.15", false),
            ("odd", false),
        ] {
            assert_eq!(is_release_at_least(release, (6, 11)), newer, "{release}");
        }
    }
}
