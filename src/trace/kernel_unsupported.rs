//! Replacement of the `kernel` module on unsupported systems and processors: every function fails.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::{SessionAccesses, TraceError, TraceScope};
use crate::project::SeccompSetup;

/// Unavailable tracer.
#[derive(Debug)]
pub(crate) struct SessionTracer {}

impl SessionTracer {
    /// Always fails.
    ///
    /// # Errors
    /// Always.
    pub(crate) fn start(_: TraceScope, _: bool) -> io::Result<(Self, OwnedFd)> {
        Err(io::Error::other(TraceError::UnsupportedSystem))
    }

    pub(crate) fn seccomp_setup(&self) -> SeccompSetup {
        SeccompSetup { filter: String::new(), syscall: 0, send_syscall: 0, cookie: 0, flags: Vec::new() }
    }

    pub(crate) fn preload_ring_env_value(&self) -> Option<&str> {
        None
    }

    /// Returns an empty, incomplete trace.
    pub(crate) fn accesses(&self) -> SessionAccesses {
        SessionAccesses::for_untraced(TraceError::UnsupportedSystem.to_string())
    }
}

/// Unavailable preload library.
#[derive(Debug)]
pub(crate) struct PreloadLibrary {}

impl PreloadLibrary {
    pub(crate) fn install(_: &Path) -> Option<Self> {
        None
    }

    pub(crate) fn path(&self) -> &str {
        ""
    }
}

/// Always fails.
///
/// # Errors
/// Always.
pub(crate) fn probe_tracing() -> Result<(), TraceError> {
    Err(TraceError::UnsupportedSystem)
}
