//! Output theme: colors and glyphs for outcomes, with plain replacements for terminals that lack them.

use std::borrow::Cow;

use crate::record::Outcome;

/// Which colors and characters output for people may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputTheme {
    /// Whether colors may be used.
    pub color: bool,
    /// Whether characters beyond ASCII may be used.
    pub unicode: bool,
}

/// Meaning of a piece of text, shown by its color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextStyle {
    Success,
    Failure,
    Warning,
    Dim,
    Bold,
    Accent,
}

impl TextStyle {
    fn ansi_code(self) -> &'static str {
        match self {
            Self::Success => "32",
            Self::Failure => "1;31",
            Self::Warning => "33",
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Accent => "36",
        }
    }

    /// Returns the style of an outcome; a flaky pass is a warning.
    pub(crate) fn for_outcome(outcome: Outcome, flaky: bool) -> Self {
        match outcome {
            Outcome::Passed if flaky => Self::Warning,
            Outcome::Passed => Self::Success,
            Outcome::Failed | Outcome::TimedOut | Outcome::Crashed => Self::Failure,
            Outcome::Cancelled | Outcome::Aborted | Outcome::Skipped => Self::Warning,
        }
    }
}

/// Signs of rendered texts, with the ASCII character for each.
const ASCII_SIGNS: [(&str, char); 11] = [
    ("✓", '+'),
    ("✗×", 'x'),
    ("■", '!'),
    ("○", 'o'),
    ("◆●", '*'),
    ("↺…±", '~'),
    ("·–—─━", '-'),
    ("▸→", '>'),
    ("│", '|'),
    ("«»“”", '"'),
    ("‘’", '\''),
];

impl OutputTheme {
    /// Returns the text in a style, or unchanged without colors.
    pub(crate) fn style_text(self, style: TextStyle, text: &str) -> String {
        if self.color && !text.is_empty() {
            format!("\x1b[{}m{text}\x1b[0m", style.ansi_code())
        } else {
            text.to_owned()
        }
    }

    /// Returns a session's padded name in a color derived from the name, the same in every run.
    pub(crate) fn style_session_name(self, name: &str, padded: &str) -> String {
        const SESSION_COLORS: [&str; 6] = ["36", "35", "34", "33", "32", "96"];
        if !self.color {
            return padded.to_owned();
        }
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        format!("\x1b[{}m{padded}\x1b[0m", SESSION_COLORS[(hash % SESSION_COLORS.len() as u64) as usize])
    }

    /// Returns the glyph of an outcome, one column wide.
    pub(crate) fn outcome_mark(self, outcome: Outcome) -> &'static str {
        let (unicode, ascii) = outcome.mark();
        self.pick_glyph(unicode, ascii)
    }

    /// Returns the first text if Unicode is allowed, else the second.
    pub(crate) fn pick_glyph(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }

    /// Replaces the signs of a rendered text by ASCII characters of the same width, if Unicode is not allowed. Names and
    /// messages keep their letters.
    pub(crate) fn replace_signs(self, text: &str) -> Cow<'_, str> {
        let ascii =
            |sign: char| ASCII_SIGNS.iter().find(|(unicode, _)| unicode.contains(sign)).map(|(_, ascii)| *ascii);
        if self.unicode || text.is_ascii() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(text.chars().map(|sign| ascii(sign).unwrap_or(sign)).collect())
    }

    /// Returns the ellipsis that replaces omitted text.
    pub(crate) fn ellipsis(self) -> &'static str {
        self.pick_glyph("…", "...")
    }

    /// Returns the separator between parts of a line.
    pub(crate) fn separator(self) -> &'static str {
        self.pick_glyph(" · ", ", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_marks_are_one_column_and_have_an_ascii_form() {
        for outcome in Outcome::ALL {
            assert_eq!(
                console::measure_text_width(OutputTheme { color: false, unicode: true }.outcome_mark(outcome)),
                1
            );
            assert!(OutputTheme { color: false, unicode: false }.outcome_mark(outcome).is_ascii());
        }
    }

    #[test]
    fn signs_have_an_ascii_form_of_the_same_width() {
        let plain = OutputTheme { color: false, unicode: false };
        assert_eq!(plain.replace_signs("✓ a 2.3× ±0s · naïve… – → b"), "+ a 2.3x ~0s - naïve~ - > b");
        assert_eq!(OutputTheme { unicode: true, ..plain }.replace_signs("✓ ×"), "✓ ×");
        for (signs, _) in ASCII_SIGNS {
            assert!(signs.chars().all(|sign| console::measure_text_width(&sign.to_string()) == 1), "{signs}");
        }
    }

    #[test]
    fn skipped_and_flaky_differ_from_passed() {
        let theme = OutputTheme { color: true, unicode: true };
        assert_ne!(theme.outcome_mark(Outcome::Skipped), theme.outcome_mark(Outcome::Passed));
        assert_ne!(TextStyle::for_outcome(Outcome::Skipped, false), TextStyle::for_outcome(Outcome::Passed, false));
        assert_ne!(TextStyle::for_outcome(Outcome::Passed, true), TextStyle::for_outcome(Outcome::Passed, false));
        assert!(Outcome::ALL.iter().all(|outcome| (TextStyle::for_outcome(*outcome, false) == TextStyle::Success)
            == outcome.allows_dependents()
            || *outcome == Outcome::Skipped));
    }

    #[test]
    fn colors_are_optional_and_stable() {
        let plain = OutputTheme { color: false, unicode: true };
        let theme = OutputTheme { color: true, unicode: true };
        assert_eq!(plain.style_text(TextStyle::Failure, "x"), "x");
        assert_eq!(plain.style_session_name("lint", "lint "), "lint ");
        assert_eq!(theme.style_text(TextStyle::Failure, "x"), "\x1b[1;31mx\x1b[0m");
        assert_eq!(theme.style_text(TextStyle::Failure, ""), "");
        assert_eq!(theme.style_session_name("lint", "lint "), theme.style_session_name("lint", "lint "));
        assert_ne!(theme.style_session_name("lint", "x"), theme.style_session_name("docs", "x"));
    }
}
