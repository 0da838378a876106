//! Visible bytes of an output: without control sequences, each with its position. A program that colors a part of a
//! secret prints sequences inside it, which other outputs of the run remove.

/// The visible bytes of a text.
#[derive(Debug, Default)]
pub(super) struct VisibleBytes {
    pub(super) bytes: Vec<u8>,
    /// Position of each byte in the text; `None` if all of them are visible.
    positions: Option<Vec<usize>>,
}

impl VisibleBytes {
    pub(super) fn new(text: &[u8]) -> Self {
        if !text.iter().any(|byte| may_start_sequence(*byte)) {
            return Self { bytes: text.to_vec(), positions: None };
        }
        let mut visible = Self { bytes: Vec::with_capacity(text.len()), positions: None };
        let mut positions = Vec::with_capacity(text.len());
        let mut at = 0;
        while let Some(byte) = text.get(at) {
            let length = sequence_len(&text[at..]);
            if length == 0 {
                visible.bytes.push(*byte);
                positions.push(at);
            }
            at += length.max(1);
        }
        visible.positions = Some(positions);
        visible
    }

    /// Returns the position in the text of a visible byte; for the end, the end of the text.
    pub(super) fn position(&self, index: usize, text: &[u8]) -> usize {
        match &self.positions {
            None => index,
            Some(positions) => positions.get(index).copied().unwrap_or(text.len()),
        }
    }

    /// Returns the position in the text after a range of visible bytes that ends before `end`.
    pub(super) fn end_position(&self, end: usize, text: &[u8]) -> usize {
        if end == 0 { 0 } else { (self.position(end - 1, text) + 1).min(text.len()) }
    }
}

/// Whether a byte may start what a terminal does not show. Tabs and line ends are shown.
fn may_start_sequence(byte: u8) -> bool {
    (byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')) || matches!(byte, 0x7f | 0xc2 | 0xe2)
}

/// Returns the length of the control sequence or character that a text starts with; 0 if it starts with a visible byte.
fn sequence_len(text: &[u8]) -> usize {
    match text {
        [0x1b, b'[', rest @ ..] => {
            2 + rest.iter().position(|byte| (0x40..=0x7e).contains(byte)).map_or(rest.len(), |length| length + 1)
        }
        [0x1b, b']' | b'P' | b'X' | b'^' | b'_', rest @ ..] => {
            let end = rest.iter().position(|byte| matches!(byte, 0x07 | 0x1b | b'\n'));
            // `ESC \` ends the string too; a line end is not part of it.
            2 + end.map_or(rest.len(), |length| match rest[length] {
                0x07 => length + 1,
                0x1b => (length + 2).min(rest.len()),
                _ => length,
            })
        }
        [0x1b, rest @ ..] => {
            let intermediate = rest.iter().take_while(|byte| (0x20..0x30).contains(*byte)).count();
            (2 + intermediate).min(text.len())
        }
        // C1 controls, and characters that separate lines or change the direction of text.
        [0xc2, 0x80..=0x9f, ..] => 2,
        [0xe2, 0x80, 0xa8..=0xae, ..] | [0xe2, 0x81, 0xa6..=0xa9, ..] => 3,
        [byte, ..] if may_start_sequence(*byte) && byte.is_ascii() => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_are_left_out() {
        for (text, expected) in [
            ("a\x1b[01;31m\x1b[Kb\x1b[m c", "ab c"),
            ("a\x1b]0;title\x07b\x1b]8;;x\x1b\\c", "abc"),
            ("a\x1b(Bb\x08\x7fc\td\r\n", "abc\td\r\n"),
            ("ä…\u{202e}x\u{85}y", "ä…xy"),
            ("a\x1b[3", "a"),
            ("a\x1b", "a"),
            ("a\x1b]open\nb", "a\nb"),
        ] {
            let visible = VisibleBytes::new(text.as_bytes());
            assert_eq!(String::from_utf8_lossy(&visible.bytes), expected, "{text:?}");
            assert_eq!(visible.position(visible.bytes.len(), text.as_bytes()).min(text.len()), text.len(), "{text:?}");
        }
        let visible = VisibleBytes::new(b"a\x1b[mb");
        assert_eq!((visible.position(1, b"a\x1b[mb"), visible.end_position(2, b"a\x1b[mb")), (4, 5));
        assert_eq!(VisibleBytes::new(b"").end_position(0, b""), 0);
    }
}
