//! Why nothing can be traced here.

/// Why nothing can be traced here.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[cfg_attr(not(all(target_os = "linux", not(noxide_portable))), allow(dead_code))] // each system makes some of them
pub(crate) enum TraceError {
    /// Another system or processor; made by `kernel_unsupported.rs` alone.
    #[cfg_attr(all(target_os = "linux", not(noxide_portable)), expect(dead_code))]
    #[error("tracing needs Linux on x86-64 or 64-bit ARM")]
    UnsupportedSystem,
    /// Somebody above holds a listener already.
    #[error("noxide runs inside a sandbox or a trace that has the one seccomp listener which the kernel gives")]
    ListenerTaken,
    /// The kernel refuses.
    #[error("the kernel refuses a seccomp filter that tells of calls: {0}")]
    Refused(String),
}

#[cfg(all(target_os = "linux", not(noxide_portable)))]
impl TraceError {
    /// What an error of the system call `seccomp` means.
    pub(crate) fn from_errno(number: i32) -> Self {
        if number == libc::EBUSY {
            return Self::ListenerTaken;
        }
        Self::Refused(std::io::Error::from_raw_os_error(number).to_string())
    }
}
