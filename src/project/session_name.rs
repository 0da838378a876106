//! Session names, as nox prints them and users type them.

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
        f.pad(&self.0)
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
    fn slugs_are_file_names() {
        let slug = |name: &str| SessionName::new(name).slug();
        assert_eq!(slug("tests-3.12(db='pg', n=1)"), "tests-3.12-db-pg-n-1");
        assert_eq!(slug("../../etc/passwd"), "etc-passwd");
        assert_eq!(slug("()"), "session");
        assert_eq!(slug(&"x".repeat(500)).len(), 80);
        assert_eq!(SessionName::from("a b").to_string(), "a b");
    }
}
