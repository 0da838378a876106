//! Bytes of a log without those that programs insert into a value: control sequences, or line ends.

use std::ops::Range;

use crate::text::visible_ranges;

/// Fewest characters of an encoded value before a line end that may be within it.
const MIN_LINE_LEN: usize = 32;

/// A part of the bytes of a log, and where each byte of it is.
pub(super) struct ProjectedText {
    pub(super) bytes: Vec<u8>,
    positions: Vec<usize>,
}

impl ProjectedText {
    /// Returns what remains without control sequences, or `None` if there are none.
    pub(super) fn without_control_sequences(bytes: &[u8]) -> Option<Self> {
        let is_ordinary = |byte: &u8| matches!(byte, b'\n' | b'\t' | b'\r' | 0x20..=0x7e);
        if bytes.iter().all(is_ordinary) {
            return None;
        }
        let mut ranges = Vec::new();
        let mut start = 0;
        for chunk in bytes.utf8_chunks() {
            for line in chunk.valid().split_inclusive('\n') {
                ranges.extend(visible_ranges(line).into_iter().map(|range| start + range.start..start + range.end));
                start += line.len();
            }
            let end = start + chunk.invalid().len();
            // At the end, it may be the beginning of a character.
            ranges.extend((end < bytes.len()).then_some(start..end));
            start = end;
        }
        Some(Self::from_ranges(bytes, ranges)).filter(|text| text.bytes.len() < bytes.len())
    }

    /// Returns what remains without line ends, or `None` if no line can be a part of a value that is broken into lines.
    pub(super) fn without_line_ends(bytes: &[u8]) -> Option<Self> {
        let is_encoded = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=');
        let is_part = |line: &[u8]| line.len() >= MIN_LINE_LEN && line.iter().rev().take(MIN_LINE_LEN).all(is_encoded);
        let mut lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).rev();
        // The last part has no line end.
        lines.next();
        if !lines.any(is_part) {
            return None;
        }
        let is_kept = |index: &usize| !matches!(bytes[*index], b'\n' | b'\r');
        Some(Self::from_ranges(bytes, (0..bytes.len()).filter(is_kept).map(|index| index..index + 1)))
    }

    fn from_ranges(bytes: &[u8], ranges: impl IntoIterator<Item = Range<usize>>) -> Self {
        let positions: Vec<usize> = ranges.into_iter().flatten().collect();
        Self { bytes: positions.iter().map(|at| bytes[*at]).collect(), positions }
    }

    /// Returns where a part of these bytes is, with what is between them.
    pub(super) fn original_range(&self, range: Range<usize>) -> Range<usize> {
        let end = range.end.checked_sub(1).map_or(0, |last| self.positions[last] + 1);
        self.positions.get(range.start).copied().unwrap_or(end)..end
    }
}
