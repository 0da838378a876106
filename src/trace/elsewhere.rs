//! Stand-in where the kernel cannot tell of calls: other systems and processors.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::{Accesses, Scope, Untraceable};
use crate::project::TraceOrder;

/// One session's trace; there is none here.
#[derive(Debug)]
pub struct Tracer {}

impl Tracer {
    /// Never.
    ///
    /// # Errors
    /// Always.
    pub fn start(_: Scope, _: bool) -> io::Result<(Self, OwnedFd)> {
        Err(io::Error::other(Untraceable::System))
    }

    /// Nothing to be done.
    pub fn order(&self) -> TraceOrder {
        TraceOrder { filter: String::new(), call: 0, flags: Vec::new() }
    }

    /// Nowhere.
    pub fn notes(&self) -> Option<&str> {
        None
    }

    /// Nothing is known.
    pub fn accesses(&self) -> Accesses {
        Accesses::unknown(Untraceable::System.to_string())
    }
}

/// The library that takes notes; there is none here.
#[derive(Debug)]
pub struct Noter {}

impl Noter {
    /// None.
    pub fn new(_: &Path) -> Option<Self> {
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
pub fn probe() -> Result<(), Untraceable> {
    Err(Untraceable::System)
}
