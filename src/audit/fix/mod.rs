//! Fixes as data: edits of bytes, and the change of meaning that they must make and no other.

mod change;

pub use change::{Change, Edit, Fix, Segment};
