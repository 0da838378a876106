//! Which line of a text a place in it is on.

use std::ops::Range;

/// The line, counted from 1, where `span` begins.
pub(super) fn line_of(text: &str, span: Option<Range<usize>>) -> usize {
    let end = span.map_or(0, |span| span.start).min(text.len());
    text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_from_one() {
        assert_eq!((line_of("a\nb\nc", Some(4..5)), line_of("a\nb", None), line_of("a\nb", Some(90..91))), (3, 1, 2));
    }
}
