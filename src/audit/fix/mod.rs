//! Fixes as data: edits of bytes, and the change of meaning that they must make and no other.

mod change;
mod gates;

pub use change::{Change, Edit, Fix, Segment};
pub use gates::{Gate, edited, pass, pass_text};
