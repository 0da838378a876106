//! Which line of a text a place in it is on.

use std::ops::Range;

/// The line, counted from 1, where `span` begins.
pub(super) fn line_number(text: &str, span: Option<Range<usize>>) -> usize {
    let end = span.map_or(0, |span| span.start).min(text.len());
    text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_from_one() {
        assert_eq!(
            (line_number("a\nb\nc", Some(4..5)), line_number("a\nb", None), line_number("a\nb", Some(90..91))),
            (3, 1, 2)
        );
    }
}
