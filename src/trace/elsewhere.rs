//! Stand-in where the kernel cannot tell of calls: other systems and processors.

use std::io;
use std::os::fd::OwnedFd;

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
    pub fn start(_: Scope) -> io::Result<(Self, OwnedFd)> {
        Err(io::Error::other(Untraceable::System))
    }

    /// Nothing to be done.
    pub fn order() -> TraceOrder {
        TraceOrder { filter: String::new(), call: 0, flags: Vec::new() }
    }

    /// Nothing is known.
    pub fn accesses(&self) -> Accesses {
        Accesses::unknown(Untraceable::System.to_string())
    }
}

/// Sessions cannot be traced here.
///
/// # Errors
/// Always.
pub fn probe() -> Result<(), Untraceable> {
    Err(Untraceable::System)
}
