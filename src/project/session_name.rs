//! Session names, as nox prints them and users type them.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A session's friendly name (`tests-3.12(db='pg')`): its longest signature, unique within a noxfile.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionName(String);

impl SessionName {
    /// Creates a name from nox's text.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name as one line of text: control characters and those that change the direction of text are escaped
    /// as in Python.
    pub fn display_name(&self) -> Cow<'_, str> {
        let is_unsafe = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if !self.0.contains(is_unsafe) {
            return Cow::Borrowed(&self.0);
        }
        let escape = |c: char| match c {
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            c if !is_unsafe(c) => c.to_string(),
            c if u32::from(c) < 256 => format!("\\x{:02x}", u32::from(c)),
            c => format!("\\u{:04x}", u32::from(c)),
        };
        Cow::Owned(self.0.chars().map(escape).collect())
    }

    /// Returns whether a selection names this session: by its whole name, or without interpreter or parameters, as in
    /// `tests` or `tests-3.12` for `tests-3.12(db='pg')`.
    pub(crate) fn is_selected_by(&self, name: &str) -> bool {
        let (plain, parameters) = self.0.split_once('(').map_or((&*self.0, ""), |(plain, rest)| (plain, rest));
        let (base, python) = plain.rsplit_once('-').unwrap_or((plain, ""));
        let is_python = python.starts_with(|c: char| c.is_ascii_digit() || c == 'p')
            && python.contains(|c: char| c.is_ascii_digit());
        let base = if is_python { base } else { plain };
        name == self.0
            || name == plain
            || name == base
            || name
                .strip_prefix(base)
                .and_then(|rest| rest.strip_prefix('('))
                .is_some_and(|rest| rest == parameters && !rest.is_empty())
    }

    /// Returns the name with characters that are unsafe in file names replaced by `-`, as in `tests-3.12-db-pg`.
    ///
    /// Different names may have the same slug; callers that need unique ones add a number.
    pub fn slug(&self) -> String {
        let mut slug = String::with_capacity(self.0.len());
        for c in self.0.chars() {
            if c.is_alphanumeric() || matches!(c, '.' | '_') {
                slug.push(c);
            } else if !slug.ends_with('-') {
                slug.push('-');
            }
        }
        let slug = slug.trim_matches(['-', '.']);
        if slug.is_empty() { "session".to_owned() } else { slug.chars().take(80).collect() }
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.display_name())
    }
}

impl From<&str> for SessionName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_may_leave_out_interpreter_and_parameters() {
        let name = SessionName::from("tests-3.12(db='pg')");
        assert!(
            ["tests-3.12(db='pg')", "tests-3.12", "tests", "tests(db='pg')"].iter().all(|one| name.is_selected_by(one))
        );
        assert!(!["test", "tests-3.11", "tests(db='x')", "tests(", ""].iter().any(|one| name.is_selected_by(one)));
        assert!(SessionName::from("unit-tests").is_selected_by("unit-tests"));
        assert!(!SessionName::from("unit-tests").is_selected_by("unit"));
        assert!(SessionName::from("unit-tests-pypy3.10").is_selected_by("unit-tests"));
    }

    #[test]
    fn slugs_are_file_names() {
        let slug = |name: &str| SessionName::new(name).slug();
        assert_eq!(slug("tests-3.12(db='pg', n=1)"), "tests-3.12-db-pg-n-1");
        assert_eq!(slug("../../etc/passwd"), "etc-passwd");
        assert_eq!(slug("()"), "session");
        assert_eq!(slug(&"x".repeat(500)).len(), 80);
        assert_eq!(SessionName::from("a b").to_string(), "a b");
    }

    #[test]
    fn a_name_is_shown_on_one_line() {
        assert_eq!(
            SessionName::from("a\n\t\x1b[31m\u{7f}\u{85}\u{202e}é").to_string(),
            r"a\n\t\x1b[31m\x7f\x85\u202eé"
        );
    }
}
