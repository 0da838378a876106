//! What records say, for other programs: JUnit.

mod junit;
mod suites;

pub use junit::{Junit, junit};
