//! What records say, for other programs: JUnit.

mod junit;
mod slipcover;
mod suites;

pub use junit::{Junit, junit};
pub use slipcover::{CoverageError, Slipcover};
