//! Workflow dialects of GitHub, Forgejo and Gitea.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Forge whose dialect a workflow is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// GitHub Actions.
    Github,
    /// Forgejo Actions.
    Forgejo,
    /// Gitea Actions.
    Gitea,
}

impl Dialect {
    /// Returns the dialect of the directory that contains the file.
    pub(crate) fn from_path(path: &str) -> Option<Self> {
        path.split('/').find_map(|part| match part {
            ".forgejo" => Some(Self::Forgejo),
            ".gitea" => Some(Self::Gitea),
            ".github" => Some(Self::Github),
            _ => None,
        })
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Forgejo => "forgejo",
            Self::Gitea => "gitea",
        }
    }

    /// Returns the host on which `uses: owner/name` is resolved by default.
    pub(crate) fn default_action_host(self) -> &'static str {
        match self {
            Self::Forgejo => "https://data.forgejo.org",
            Self::Github | Self::Gitea => "https://github.com",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Error of parsing a dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a dialect; use github, forgejo or gitea")]
pub struct DialectError(String);

impl std::str::FromStr for Dialect {
    type Err = DialectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Github, Self::Forgejo, Self::Gitea]
            .into_iter()
            .find(|dialect| dialect.as_str() == text)
            .ok_or_else(|| DialectError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_decides_the_dialect() {
        assert_eq!(Dialect::from_path(".forgejo/workflows/a.yml"), Some(Dialect::Forgejo));
        assert_eq!(Dialect::from_path("x/.gitea/workflows/a.yml"), Some(Dialect::Gitea));
        assert_eq!(Dialect::from_path(".github/workflows/a.yml"), Some(Dialect::Github));
        assert_eq!(Dialect::from_path("action.yml"), None);
        assert_eq!("gitea".parse(), Ok(Dialect::Gitea));
        assert!("gitlab".parse::<Dialect>().unwrap_err().to_string().contains("gitlab"));
        assert_eq!(format!("{:>8}", Dialect::Github), "  github");
        assert_eq!(Dialect::Forgejo.default_action_host(), "https://data.forgejo.org");
        assert_eq!(Dialect::Gitea.default_action_host(), Dialect::Github.default_action_host());
    }
}
