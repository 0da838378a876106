//! Stand-in where the kernel cannot tell of calls: other systems and processors.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::{SessionAccesses, TraceError, TraceScope};
use crate::project::SeccompSetup;

/// One session's trace; there is none here.
#[derive(Debug)]
pub struct SessionTracer {}

impl SessionTracer {
    /// Never.
    ///
    /// # Errors
    /// Always.
    pub fn start(_: TraceScope, _: bool) -> io::Result<(Self, OwnedFd)> {
        Err(io::Error::other(TraceError::UnsupportedSystem))
    }

    /// Nothing to be done.
    pub fn seccomp_setup(&self) -> SeccompSetup {
        SeccompSetup { filter: String::new(), call: 0, flags: Vec::new() }
    }

    /// Nowhere.
    pub fn preload_ring_address(&self) -> Option<&str> {
        None
    }

    /// Nothing is known.
    pub fn accesses(&self) -> SessionAccesses {
        SessionAccesses::for_untraced(TraceError::UnsupportedSystem.to_string())
    }
}

/// The library that takes notes; there is none here.
#[derive(Debug)]
pub struct PreloadLibrary {}

impl PreloadLibrary {
    /// None.
    pub fn install(_: &Path) -> Option<Self> {
        None
    }

    /// Nowhere.
    pub fn path(&self) -> &str {
        ""
    }
}

/// Sessions cannot be traced here.
///
/// # Errors
/// Always.
pub fn probe_tracing() -> Result<(), TraceError> {
    Err(TraceError::UnsupportedSystem)
}
