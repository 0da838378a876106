//! Stand-in where the kernel cannot tell of calls: other systems and processors.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::{SessionAccesses, TraceError, TraceScope};
use crate::project::SeccompSetup;

/// One session's trace; there is none here.
#[derive(Debug)]
pub(crate) struct SessionTracer {}

impl SessionTracer {
    /// Never.
    ///
    /// # Errors
    /// Always.
    pub(crate) fn start(_: TraceScope, _: bool) -> io::Result<(Self, OwnedFd)> {
        Err(io::Error::other(TraceError::UnsupportedSystem))
    }

    /// Nothing to be done.
    pub(crate) fn seccomp_setup(&self) -> SeccompSetup {
        SeccompSetup { filter: String::new(), call: 0, flags: Vec::new() }
    }

    /// Nowhere.
    pub(crate) fn preload_ring_address(&self) -> Option<&str> {
        None
    }

    /// Nothing is known.
    pub(crate) fn accesses(&self) -> SessionAccesses {
        SessionAccesses::for_untraced(TraceError::UnsupportedSystem.to_string())
    }
}

/// The library that takes notes; there is none here.
#[derive(Debug)]
pub(crate) struct PreloadLibrary {}

impl PreloadLibrary {
    /// None.
    pub(crate) fn install(_: &Path) -> Option<Self> {
        None
    }

    /// Nowhere.
    pub(crate) fn path(&self) -> &str {
        ""
    }
}

/// Sessions cannot be traced here.
///
/// # Errors
/// Always.
pub(crate) fn probe_tracing() -> Result<(), TraceError> {
    Err(TraceError::UnsupportedSystem)
}
