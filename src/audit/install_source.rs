//! Sources that workflows install noxide from: the setting `install`, parsed.

use std::fmt;
use std::str::FromStr;

use pep440_rs::VersionSpecifiers;

/// Prefix of an action, as in a workflow.
const ACTION_PREFIX: &str = "uses:";

/// Prefix of a container image, as in a workflow.
const IMAGE_PREFIX: &str = "image:";

/// Source that workflows install noxide from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstallSource {
    /// A requirement, such as `noxide==0.2.0`.
    Requirement(String),
    /// URL or path of a wheel.
    Wheel(String),
    /// Git URL with a commit, such as `git+https://…@<commit>`.
    Git(String),
    /// The action, as the value of `uses`.
    Action(String),
    /// A container image that contains noxide.
    Image(String),
}

/// Error of parsing the setting `install`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstallSourceError {
    /// None of the forms.
    #[error(
        "must be `noxide==VERSION`, the URL or path of a wheel, `git+URL@COMMIT`, `uses: ACTION@VERSION` or `image: IMAGE`"
    )]
    Unknown,
    /// A Git URL without a full commit.
    #[error("must name a commit by all 40 digits, as in `git+URL@COMMIT`: a branch may change under the workflow")]
    NoCommit,
    /// An action without a version.
    #[error("must name a version of the action, as in `uses: ACTION@VERSION`")]
    NoActionVersion,
}

impl InstallSource {
    /// Returns the requirement of this version.
    pub fn from_version(version: &str) -> Self {
        Self::Requirement(format!("noxide=={version}"))
    }

    /// Returns what `pip install` accepts as one shell word; `None` of an action and an image, which need no such step.
    pub(crate) fn pip_argument(&self) -> Option<String> {
        let text = match self {
            Self::Requirement(text) | Self::Wheel(text) | Self::Git(text) => text,
            Self::Action(_) | Self::Image(_) => return None,
        };
        let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c));
        Some(if is_plain { text.clone() } else { format!("\"{text}\"") })
    }
}

impl fmt::Display for InstallSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requirement(text) | Self::Wheel(text) | Self::Git(text) => f.write_str(text),
            Self::Action(text) => write!(f, "{ACTION_PREFIX} {text}"),
            Self::Image(text) => write!(f, "{IMAGE_PREFIX} {text}"),
        }
    }
}

impl FromStr for InstallSource {
    type Err = InstallSourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        // The value becomes a word of a script and a scalar of a workflow.
        let is_word =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !"\"'`$\\".contains(c));
        let word = |text: &str| {
            let text = text.trim();
            if is_word(text) { Ok(text.to_owned()) } else { Err(InstallSourceError::Unknown) }
        };
        if let Some(action) = text.strip_prefix(ACTION_PREFIX) {
            let action = word(action)?;
            let has_version = action.rsplit_once('@').is_some_and(|(name, version)| {
                name.trim_start_matches("https://").contains('/') && !version.is_empty()
            });
            return if has_version { Ok(Self::Action(action)) } else { Err(InstallSourceError::NoActionVersion) };
        }
        if let Some(image) = text.strip_prefix(IMAGE_PREFIX) {
            return word(image).map(Self::Image);
        }
        if text.starts_with("git+") {
            let url = word(text)?;
            let commit = url.split('#').next().and_then(|url| url.rsplit_once('@')).map_or("", |(_, commit)| commit);
            let is_full = commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit());
            return if is_full { Ok(Self::Git(url)) } else { Err(InstallSourceError::NoCommit) };
        }
        if text.split('#').next().is_some_and(|path| path.ends_with(".whl")) {
            return word(text).map(Self::Wheel);
        }
        let requirement: String = text.split_whitespace().collect();
        let specifiers = requirement.strip_prefix("noxide").filter(|_| is_word(&requirement));
        let is_valid = specifiers.is_some_and(|specifiers| specifiers.parse::<VersionSpecifiers>().is_ok());
        if is_valid { Ok(Self::Requirement(requirement)) } else { Err(InstallSourceError::Unknown) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn each_form_is_recognized() {
        let git = format!("git+https://forge.example/noxide/noxide@{COMMIT}");
        for (text, expected) in [
            ("noxide==0.2.0", InstallSource::Requirement("noxide==0.2.0".to_owned())),
            (" noxide >= 0.2, < 1 ", InstallSource::Requirement("noxide>=0.2,<1".to_owned())),
            ("noxide", InstallSource::Requirement("noxide".to_owned())),
            (
                "wheels/noxide-0.2.0-py3-none-any.whl",
                InstallSource::Wheel("wheels/noxide-0.2.0-py3-none-any.whl".into()),
            ),
            (
                "https://h/noxide-1-py3-none-any.whl#sha256=0",
                InstallSource::Wheel("https://h/noxide-1-py3-none-any.whl#sha256=0".into()),
            ),
            (git.as_str(), InstallSource::Git(git.clone())),
            ("uses: noxide/noxide@v1", InstallSource::Action("noxide/noxide@v1".to_owned())),
            ("image: forge.example/noxide:0.2.0", InstallSource::Image("forge.example/noxide:0.2.0".to_owned())),
        ] {
            let parsed: InstallSource = text.parse().unwrap();
            assert_eq!(parsed, expected);
            assert_eq!(parsed.to_string().parse(), Ok(parsed));
        }
    }

    #[test]
    fn other_texts_are_rejected() {
        for text in ["", "nox==1", "noxide=1", "noxide-ci==1", "noxide==$(id)", "image:", "a b.whl", "x`id`.whl"] {
            assert_eq!(text.parse::<InstallSource>(), Err(InstallSourceError::Unknown), "{text}");
        }
        for text in ["git+https://forge.example/noxide", "git+https://forge.example/noxide@main"] {
            assert_eq!(text.parse::<InstallSource>(), Err(InstallSourceError::NoCommit), "{text}");
        }
        for text in ["uses: noxide/noxide", "uses: noxide@v1", "uses: noxide/noxide@"] {
            assert_eq!(text.parse::<InstallSource>(), Err(InstallSourceError::NoActionVersion), "{text}");
        }
    }

    #[test]
    fn pip_gets_one_word() {
        let argument = |text: &str| text.parse::<InstallSource>().unwrap().pip_argument();
        assert_eq!(argument("noxide==0.2.0").as_deref(), Some("noxide==0.2.0"));
        assert_eq!(argument("noxide>=0.2").as_deref(), Some("\"noxide>=0.2\""));
        assert_eq!(argument("https://h/n.whl#sha256=0").as_deref(), Some("\"https://h/n.whl#sha256=0\""));
        assert_eq!(argument("uses: noxide/noxide@v1"), None);
    }
}
