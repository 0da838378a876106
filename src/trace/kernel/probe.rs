//! Tracing probe: checks whether sessions can be traced on this machine.

use super::filter::build_filter;
use super::system::install_filter;
use crate::trace::TraceError;

/// Kernel flag that returns a listener for the filter.
pub(super) const FLAG_NEW_LISTENER: u64 = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;

/// Kernel flag (since 5.19) that prevents signals from repeatedly restarting a stopped call.
pub(super) const FLAG_WAIT_KILLABLE: u64 = libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;

/// Checks that sessions can be traced on this machine.
///
/// Runs in a separate thread, because a filter belongs to a thread and cannot be removed.
///
/// # Errors
/// The reason why tracing is unavailable.
pub(crate) fn probe_tracing() -> Result<(), TraceError> {
    let thread = std::thread::Builder::new().name("probe".to_owned()).spawn(|| {
        // No call is stopped: the thread makes only the calls that end it, which are not traced.
        install_filter(&build_filter(None), FLAG_NEW_LISTENER).map(drop)
    });
    let refused = |error: std::io::Error| TraceError::from_errno(error.raw_os_error().unwrap_or(libc::EPERM));
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) | Err(error) => Err(refused(error)),
        Ok(Err(_)) => Err(TraceError::from_errno(libc::EPERM)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_succeeds_or_gives_a_reason() {
        match probe_tracing() {
            Ok(()) => {}
            Err(why) => assert!(why.to_string().contains("seccomp"), "{why}"),
        }
    }
}
