//! Errors that make tracing unavailable.

/// Reason why sessions cannot be traced on this machine.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[cfg_attr(not(all(target_os = "linux", not(noxide_portable))), allow(dead_code))] // each platform constructs only some variants
pub(crate) enum TraceError {
    /// Unsupported operating system or processor; constructed only in `kernel_unsupported.rs`.
    #[cfg_attr(all(target_os = "linux", not(noxide_portable)), expect(dead_code))]
    #[error("tracing needs Linux on x86-64 or 64-bit ARM")]
    UnsupportedSystem,
    /// A parent process already holds the seccomp listener.
    #[error(
        "noxide itself already runs under a seccomp listener (in a trace or a sandbox), and the kernel allows only one"
    )]
    ListenerTaken,
    /// The kernel refused the seccomp filter.
    #[error("the kernel refuses the seccomp filter: {0}")]
    Refused(String),
    /// The session could not install the filter or send its listener.
    #[error("{0}")]
    Session(String),
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
