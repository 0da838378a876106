//! Forges that run Actions workflows: GitHub, Forgejo and Gitea.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Forge that a workflow is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forge {
    /// GitHub Actions.
    Github,
    /// Forgejo Actions.
    Forgejo,
    /// Gitea Actions.
    Gitea,
}

impl Forge {
    /// Returns the forge of the directory that contains the file.
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

impl fmt::Display for Forge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Error of parsing a forge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a forge; use github, forgejo or gitea")]
pub struct ForgeError(String);

impl std::str::FromStr for Forge {
    type Err = ForgeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Github, Self::Forgejo, Self::Gitea]
            .into_iter()
            .find(|forge| forge.as_str() == text)
            .ok_or_else(|| ForgeError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_decides_the_forge() {
        assert_eq!(Forge::from_path(".forgejo/workflows/a.yml"), Some(Forge::Forgejo));
        assert_eq!(Forge::from_path("x/.gitea/workflows/a.yml"), Some(Forge::Gitea));
        assert_eq!(Forge::from_path(".github/workflows/a.yml"), Some(Forge::Github));
        assert_eq!(Forge::from_path("action.yml"), None);
        assert_eq!("gitea".parse(), Ok(Forge::Gitea));
        assert!("gitlab".parse::<Forge>().unwrap_err().to_string().contains("gitlab"));
        assert_eq!(format!("{:>8}", Forge::Github), "  github");
        assert_eq!(Forge::Forgejo.default_action_host(), "https://data.forgejo.org");
        assert_eq!(Forge::Gitea.default_action_host(), Forge::Github.default_action_host());
    }
}
