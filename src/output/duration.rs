//! Durations as people read them; the words are those of records.

pub use crate::record::duration;
pub(crate) use crate::record::{delta, rough};
