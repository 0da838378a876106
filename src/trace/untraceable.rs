//! Why nothing can be traced here.

/// Why nothing can be traced here.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Untraceable {
    /// Another system or processor.
    #[error("tracing needs Linux on x86-64 or 64-bit ARM")]
    System,
    /// Somebody above holds a listener already.
    #[error("noxide runs inside a sandbox or a trace that has the one seccomp listener which the kernel gives")]
    Nested,
    /// The kernel refuses.
    #[error("the kernel refuses a seccomp filter that tells of calls: {0}")]
    Refused(String),
}

impl Untraceable {
    /// What an error of the system call `seccomp` means.
    pub fn from_errno(number: i32) -> Self {
        if number == libc::EBUSY {
            return Self::Nested;
        }
        Self::Refused(std::io::Error::from_raw_os_error(number).to_string())
    }
}
