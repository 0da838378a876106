//! Durations as people read them; the words are those of records.

pub(crate) use crate::record::format_duration;
pub(crate) use crate::record::{format_delta, format_whole_seconds};
