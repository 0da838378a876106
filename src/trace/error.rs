//! Errors that make tracing unavailable.

/// Reason why sessions cannot be traced on this machine.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[cfg_attr(not(all(target_os = "linux", not(noxide_portable))), allow(dead_code))] // each system makes some of them
pub(crate) enum TraceError {
    /// Unsupported operating system or processor; constructed only in `kernel_unsupported.rs`.
    #[cfg_attr(all(target_os = "linux", not(noxide_portable)), expect(dead_code))]
    #[error("tracing needs Linux on x86-64 or 64-bit ARM")]
    UnsupportedSystem,
    /// A parent process already holds the seccomp listener.
    #[error("noxide runs inside a sandbox or a trace that has the one seccomp listener which the kernel gives")]
    ListenerTaken,
    /// The kernel refused the seccomp filter.
    #[error("the kernel refuses a seccomp filter that tells of calls: {0}")]
    Refused(String),
}

#[cfg(all(target_os = "linux", not(noxide_portable)))]
impl TraceError {
    /// Converts an error of the `seccomp` system call.
    pub(crate) fn from_errno(number: i32) -> Self {
        if number == libc::EBUSY {
            return Self::ListenerTaken;
        }
        Self::Refused(std::io::Error::from_raw_os_error(number).to_string())
    }
}
