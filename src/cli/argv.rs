//! nox's two-letter short flags (`-db`, `-fb`, `-ts`), spelled out before the command line is parsed.

use std::ffi::{OsStr, OsString};

/// The short flags that are no single letter, and what they stand for.
const TWO_LETTER_FLAGS: &[(&str, &str)] =
    &[("-db", "--default-venv-backend"), ("-fb", "--force-venv-backend"), ("-ts", "--add-timestamp")];

/// Spells out nox's two-letter short flags, up to the first `--`.
pub(super) fn expand_short_flags(argv: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut after_dashes = false;
    argv.into_iter()
        .map(|argument| {
            after_dashes |= argument == "--";
            if after_dashes { argument } else { expand_flag(&argument).unwrap_or(argument) }
        })
        .collect()
}

fn expand_flag(argument: &OsStr) -> Option<OsString> {
    let bytes = argument.as_encoded_bytes();
    TWO_LETTER_FLAGS.iter().find_map(|(short, long)| {
        let rest = bytes.strip_prefix(short.as_bytes())?;
        match std::str::from_utf8(rest).ok()? {
            "" => Some(OsString::from(*long)),
            value if value.starts_with('=') => Some(OsString::from(format!("{long}{value}"))),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(argv: &str) -> String {
        let argv = expand_short_flags(argv.split(' ').map(OsString::from));
        argv.iter().map(|argument| argument.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn two_letter_flags_become_long() {
        assert_eq!(spelled("noxide run -db uv -s a"), "noxide run --default-venv-backend uv -s a");
        assert_eq!(spelled("noxide run -fb=none -ts"), "noxide run --force-venv-backend=none --add-timestamp");
    }

    #[test]
    fn all_else_is_left_alone() {
        for argv in ["noxide run -s a -- -db -fb=x -ts", "noxide run -dbuv -tsv -d -f b -t s --db"] {
            assert_eq!(spelled(argv), argv);
        }
    }
}
