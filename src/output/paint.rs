//! Colours and marks: what a terminal can show of an outcome, and what stands in where it cannot.

use crate::record::Outcome;

/// What the stream that people read can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    /// Whether colours may be used.
    pub color: bool,
    /// Whether marks beyond ASCII may be used.
    pub unicode: bool,
}

/// What a piece of text wants to say by its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Warn,
    Dim,
    Strong,
    Accent,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Warn => "33",
            Self::Dim => "2",
            Self::Strong => "1",
            Self::Accent => "36",
        }
    }

    /// The tone of an outcome; a flaky pass is none of the good ones.
    pub(crate) fn of(outcome: Outcome, flaky: bool) -> Self {
        match outcome {
            Outcome::Passed if flaky => Self::Warn,
            Outcome::Passed | Outcome::Replayed => Self::Good,
            Outcome::Failed | Outcome::TimedOut | Outcome::Crashed => Self::Bad,
            Outcome::Cancelled | Outcome::Aborted | Outcome::Skipped => Self::Warn,
        }
    }
}

impl Paint {
    /// The text in its tone, or as it is where there are no colours.
    pub(crate) fn tone(self, tone: Tone, text: &str) -> String {
        if self.color && !text.is_empty() { format!("\x1b[{}m{text}\x1b[0m", tone.code()) } else { text.to_owned() }
    }

    /// The name of a session in a colour that is its own for good.
    pub(crate) fn label(self, name: &str, padded: &str) -> String {
        const COLORS: [&str; 6] = ["36", "35", "34", "33", "32", "96"];
        if !self.color {
            return padded.to_owned();
        }
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        format!("\x1b[{}m{padded}\x1b[0m", COLORS[(hash % COLORS.len() as u64) as usize])
    }

    /// The mark of an outcome, one column wide.
    pub(crate) fn mark(self, outcome: Outcome) -> &'static str {
        let (nice, plain) = match outcome {
            Outcome::Passed => ("✓", "+"),
            Outcome::Failed | Outcome::TimedOut | Outcome::Crashed => ("✗", "x"),
            Outcome::Cancelled => ("■", "!"),
            Outcome::Replayed => ("↻", "="),
            Outcome::Skipped => ("–", "-"),
            Outcome::Aborted => ("○", "o"),
        };
        self.pick(nice, plain)
    }

    /// The first where more than ASCII can be shown, else the second.
    pub(crate) fn pick(self, nice: &'static str, plain: &'static str) -> &'static str {
        if self.unicode { nice } else { plain }
    }

    /// What stands for text left out.
    pub(crate) fn ellipsis(self) -> &'static str {
        self.pick("…", "...")
    }

    /// What stands between the parts of a line.
    pub(crate) fn dot(self) -> &'static str {
        self.pick(" · ", ", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Outcome; 8] = [
        Outcome::Passed,
        Outcome::Failed,
        Outcome::TimedOut,
        Outcome::Crashed,
        Outcome::Cancelled,
        Outcome::Replayed,
        Outcome::Skipped,
        Outcome::Aborted,
    ];

    #[test]
    fn marks_are_one_column_and_ascii_where_asked() {
        for outcome in ALL {
            assert_eq!(console::measure_text_width(Paint { color: false, unicode: true }.mark(outcome)), 1);
            assert!(Paint { color: false, unicode: false }.mark(outcome).is_ascii());
        }
    }

    #[test]
    fn skipped_and_flaky_never_look_passed() {
        let paint = Paint { color: true, unicode: true };
        assert_ne!(paint.mark(Outcome::Skipped), paint.mark(Outcome::Passed));
        assert_ne!(Tone::of(Outcome::Skipped, false), Tone::of(Outcome::Passed, false));
        assert_ne!(Tone::of(Outcome::Passed, true), Tone::of(Outcome::Passed, false));
        assert!(
            ALL.iter().all(|outcome| (Tone::of(*outcome, false) == Tone::Good) == outcome.satisfies()
                || *outcome == Outcome::Skipped)
        );
    }

    #[test]
    fn colours_only_where_asked_and_stable() {
        let plain = Paint { color: false, unicode: true };
        let paint = Paint { color: true, unicode: true };
        assert_eq!(plain.tone(Tone::Bad, "x"), "x");
        assert_eq!(plain.label("lint", "lint "), "lint ");
        assert_eq!(paint.tone(Tone::Bad, "x"), "\x1b[1;31mx\x1b[0m");
        assert_eq!(paint.tone(Tone::Bad, ""), "");
        assert_eq!(paint.label("lint", "lint "), paint.label("lint", "lint "));
        assert_ne!(paint.label("lint", "x"), paint.label("docs", "x"));
    }
}
