//! Requirements (PEP 508): name, extras, version specifiers or URL, marker.

use std::str::FromStr;

use super::marker::{Marker, MarkerError};
use super::package_name::{normalize_name, split_extras};

/// A parsed requirement.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    /// Name of the package, in normal form.
    pub(crate) name: String,
    /// Requested extras, in normal form.
    pub(crate) extras: Vec<String>,
    /// Version specifiers as written, without whitespace; empty for any version.
    pub(crate) specifiers: String,
    /// The URL after `@`.
    pub(crate) url: Option<String>,
    /// The environments in which it applies.
    pub(crate) marker: Option<Marker>,
}

/// Reasons why a text is not a requirement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequirementError {
    /// It does not start with a name.
    #[error("`{0}` does not start with a package name")]
    MissingName(String),
    /// The name is followed by neither version specifiers nor a URL.
    #[error("`{0}` has neither version specifiers nor a URL after the name")]
    InvalidSpecifiers(String),
    /// Its marker is invalid.
    #[error(transparent)]
    InvalidMarker(#[from] MarkerError),
}

impl FromStr for Requirement {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Self, RequirementError> {
        let text = text.trim();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(RequirementError::MissingName(text.to_owned()));
        }
        let rest = rest.trim_start();
        let (extras, rest) = match rest.find(']').filter(|_| rest.starts_with('[')) {
            Some(end) => (split_extras(&rest[..=end]).1, rest[end + 1..].trim_start()),
            None => (Vec::new(), rest),
        };
        if let Some(url) = rest.strip_prefix('@') {
            // A semicolon starts a marker only after a space; otherwise it is part of the URL.
            let (url, marker) = url.split_once(" ;").map_or((url, None), |(url, marker)| (url, Some(marker)));
            return Ok(Self {
                name: normalize_name(name),
                extras,
                specifiers: String::new(),
                url: Some(url.trim().to_owned()),
                marker: marker.map(str::parse).transpose()?,
            });
        }
        let (versions, marker) = rest.split_once(';').map_or((rest, None), |(v, marker)| (v, Some(marker)));
        let versions = versions.trim().trim_start_matches('(').trim_end_matches(')');
        let versions: String = versions.chars().filter(|c| !c.is_whitespace()).collect();
        if !versions.is_empty() && !versions.starts_with(['<', '>', '=', '!', '~']) {
            return Err(RequirementError::InvalidSpecifiers(text.to_owned()));
        }
        Ok(Self {
            name: normalize_name(name),
            extras,
            specifiers: versions,
            url: None,
            marker: marker.map(str::parse).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        let requirement: Requirement = text.parse().unwrap();
        let marker = requirement.marker.map_or(String::new(), |marker| format!(" if {marker}"));
        let url = requirement.url.map_or(String::new(), |url| format!(" at {url}"));
        format!("{} [{}] {}{url}{marker}", requirement.name, requirement.extras.join(" "), requirement.specifiers)
    }

    #[test]
    fn all_forms_are_parsed() {
        assert_eq!(parsed("Ruff"), "ruff [] ");
        assert_eq!(parsed("ruff >= 0.9, <1"), "ruff [] >=0.9,<1");
        assert_eq!(
            parsed("pyright[NodeJS]>=1.1; python_version >= '3.11'"),
            "pyright [nodejs] >=1.1 if python_version >= '3.11'"
        );
        assert_eq!(parsed("requests (==2.0)"), "requests [] ==2.0");
        assert_eq!(
            parsed("pip [a, b] @ https://packages.example.org/pip;x.zip ; os_name == 'nt'"),
            "pip [a b]  at https://packages.example.org/pip;x.zip if os_name == 'nt'"
        );
        assert_eq!(parsed("d @ file:///d"), "d []  at file:///d");
    }

    #[test]
    fn invalid_requirements_are_reported() {
        let error = |text: &str| text.parse::<Requirement>().unwrap_err().to_string();
        assert_eq!(error("./here"), "`./here` does not start with a package name");
        assert_eq!(error("ruff 0.9"), "`ruff 0.9` has neither version specifiers nor a URL after the name");
        assert_eq!(error("a; b"), "the marker ` b` is invalid: `b` is not a marker variable");
    }
}
