//! Whether sessions can be traced here, found out by trying.

use super::filter::build_filter;
use super::system::install_filter;
use crate::trace::TraceError;

/// The kernel's flag for a filter with a listener.
pub(super) const FLAG_NEW_LISTENER: u64 = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;

/// The kernel's flag (since 5.19) that keeps signals from starting a call again and again while it waits.
pub(super) const FLAG_WAIT_KILLABLE: u64 = libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;

/// Whether sessions can be traced here.
///
/// A thread of its own tries: a filter is a thread's, and ends with it.
///
/// # Errors
/// Why not.
pub(crate) fn probe_tracing() -> Result<(), TraceError> {
    let tried = std::thread::Builder::new().name("probe".to_owned()).spawn(|| {
        // The filter stops nothing here: its only calls are those that end the thread.
        install_filter(&build_filter(None), FLAG_NEW_LISTENER).map(drop)
    });
    let refused = |error: std::io::Error| TraceError::from_errno(error.raw_os_error().unwrap_or(libc::EPERM));
    match tried.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) | Err(error) => Err(refused(error)),
        Ok(Err(_)) => Err(TraceError::from_errno(libc::EPERM)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_or_says_why() {
        match probe_tracing() {
            Ok(()) => {}
            Err(why) => assert!(why.to_string().contains("seccomp"), "{why}"),
        }
    }
}
