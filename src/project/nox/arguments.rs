//! nox's command line: an argument list for nox, and its short flags of two letters.

use std::ffi::{OsStr, OsString};

/// Short flags of nox that are longer than one letter, with their long form.
const TWO_LETTER_FLAGS: &[(&str, &str)] =
    &[("-db", "--default-venv-backend"), ("-fb", "--force-venv-backend"), ("-ts", "--add-timestamp")];

/// Builder of an argument list; adds only flags that were given, since older nox has fewer of them.
#[derive(Default)]
pub(crate) struct NoxArguments(pub(crate) Vec<OsString>);

impl NoxArguments {
    /// Adds a flag without a value.
    pub(crate) fn push_flag(&mut self, flag: &str, is_set: bool) {
        if is_set {
            self.0.push(flag.into());
        }
    }

    /// Adds a flag and its value.
    pub(crate) fn push_value<T: AsRef<OsStr> + ?Sized>(&mut self, flag: &str, value: Option<&T>) {
        if let Some(value) = value {
            // Joined, so that a value that starts with a dash is not read as a flag.
            let mut joined = OsString::from(flag);
            joined.push("=");
            joined.push(value);
            self.0.push(joined);
        }
    }

    /// Adds a flag and its values.
    pub(crate) fn push_values(&mut self, flag: &str, values: Option<&[OsString]>) {
        match values {
            None => {}
            Some([single]) => self.push_value(flag, Some(single)),
            Some(values) => {
                self.0.push(flag.into());
                self.0.extend_from_slice(values);
            }
        }
    }
}

/// Replaces nox's two-letter short flags, up to the first `--`, by their long form.
pub(crate) fn expand_short_flags(argv: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut is_posarg = false;
    argv.into_iter()
        .map(|argument| {
            is_posarg |= argument == "--";
            if is_posarg { argument } else { expand_flag(&argument).unwrap_or(argument) }
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

/// Returns the color variable that nox must not get: it refuses `NO_COLOR` beside `FORCE_COLOR`, and a flag beside the
/// opposite variable. A flag wins over both variables, `NO_COLOR` over `FORCE_COLOR`.
pub(crate) fn contradicted_color_variable(
    nox_flags: &[OsString],
    has_variable: &dyn Fn(&str) -> bool,
) -> Option<&'static str> {
    let forces_color = nox_flags.iter().any(|argument| argument == "--forcecolor");
    let (no_color, force_color) = (has_variable("NO_COLOR"), has_variable("FORCE_COLOR"));
    match forces_color {
        true => no_color.then_some("NO_COLOR"),
        false if no_color || nox_flags.iter().any(|argument| argument == "--nocolor") => {
            force_color.then_some("FORCE_COLOR")
        }
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(argv: &str) -> String {
        let argv = expand_short_flags(argv.split(' ').map(OsString::from));
        argv.iter().map(|argument| argument.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn two_letter_flags_become_long() {
        assert_eq!(expanded("noxide run -db uv -s a"), "noxide run --default-venv-backend uv -s a");
        assert_eq!(expanded("noxide run -fb=none -ts"), "noxide run --force-venv-backend=none --add-timestamp");
    }

    #[test]
    fn other_arguments_are_left_alone() {
        for argv in ["noxide run -s a -- -db -fb=x -ts", "noxide run -dbuv -tsv -d -f b -t s --db"] {
            assert_eq!(expanded(argv), argv);
        }
    }

    #[test]
    fn a_flag_wins_over_color_variables_and_no_color_over_force_color() {
        let dropped = |flags: &[&str], variables: &[&str]| {
            let flags: Vec<OsString> = flags.iter().map(OsString::from).collect();
            contradicted_color_variable(&flags, &|name| variables.contains(&name))
        };
        assert_eq!(dropped(&[], &["NO_COLOR", "FORCE_COLOR"]), Some("FORCE_COLOR"));
        assert_eq!(dropped(&["--forcecolor"], &["NO_COLOR"]), Some("NO_COLOR"));
        assert_eq!(dropped(&["--nocolor"], &["FORCE_COLOR"]), Some("FORCE_COLOR"));
        assert_eq!(dropped(&["--nocolor"], &["NO_COLOR"]), None);
        assert_eq!(dropped(&[], &["FORCE_COLOR"]), None);
    }
}
