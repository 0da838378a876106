//! A requirement as people write it (PEP 508): name, extras, versions or address, marker.

use std::str::FromStr;

use super::marker::{Marker, MarkerError};
use super::package_name::{normalize_name, split_extras};

/// A requirement.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    /// The package's name in normal form.
    pub(crate) name: String,
    /// Extras wanted, in normal form.
    pub(crate) extras: Vec<String>,
    /// Versions wanted, as written without blanks; empty where any will do.
    pub(crate) specifiers: String,
    /// Where it is to be had, after `@`.
    pub(crate) url: Option<String>,
    /// Where it counts.
    pub(crate) marker: Option<Marker>,
}

/// A text that is no requirement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequirementError {
    /// It does not begin with a name.
    #[error("`{0}` does not begin with the name of a package")]
    MissingName(String),
    /// What follows the name is neither versions nor an address.
    #[error("`{0}` has neither versions nor an address after the name")]
    InvalidSpecifiers(String),
    /// Its marker is wrong.
    #[error(transparent)]
    InvalidMarker(#[from] MarkerError),
}

impl FromStr for Requirement {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Self, RequirementError> {
        let text = text.trim();
        let is_name = |sign: char| sign.is_ascii_alphanumeric() || "-_.".contains(sign);
        let end = text.find(|sign| !is_name(sign)).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if !name.starts_with(|sign: char| sign.is_ascii_alphanumeric()) {
            return Err(RequirementError::MissingName(text.to_owned()));
        }
        let rest = rest.trim_start();
        let (extras, rest) = match rest.find(']').filter(|_| rest.starts_with('[')) {
            Some(end) => (split_extras(&rest[..=end]).1, rest[end + 1..].trim_start()),
            None => (Vec::new(), rest),
        };
        if let Some(address) = rest.strip_prefix('@') {
            // Only a blank before the semicolon tells a marker from a part of the address.
            let (address, marker) = address.split_once(" ;").map_or((address, None), |(a, marker)| (a, Some(marker)));
            return Ok(Self {
                name: normalize_name(name),
                extras,
                specifiers: String::new(),
                url: Some(address.trim().to_owned()),
                marker: marker.map(str::parse).transpose()?,
            });
        }
        let (versions, marker) = rest.split_once(';').map_or((rest, None), |(v, marker)| (v, Some(marker)));
        let versions = versions.trim().trim_start_matches('(').trim_end_matches(')');
        let versions: String = versions.chars().filter(|sign| !sign.is_whitespace()).collect();
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

    fn shown(text: &str) -> String {
        let read: Requirement = text.parse().unwrap();
        let marker = read.marker.map_or(String::new(), |marker| format!(" if {marker}"));
        let address = read.url.map_or(String::new(), |address| format!(" at {address}"));
        format!("{} [{}] {}{address}{marker}", read.name, read.extras.join(" "), read.specifiers)
    }

    #[test]
    fn all_forms_are_read() {
        assert_eq!(shown("Ruff"), "ruff [] ");
        assert_eq!(shown("ruff >= 0.9, <1"), "ruff [] >=0.9,<1");
        assert_eq!(
            shown("pyright[NodeJS]>=1.1; python_version >= '3.11'"),
            "pyright [nodejs] >=1.1 if python_version >= '3.11'"
        );
        assert_eq!(shown("requests (==2.0)"), "requests [] ==2.0");
        assert_eq!(
            shown("pip [a, b] @ https://packages.example.org/pip;x.zip ; os_name == 'nt'"),
            "pip [a b]  at https://packages.example.org/pip;x.zip if os_name == 'nt'"
        );
        assert_eq!(shown("d @ file:///d"), "d []  at file:///d");
    }

    #[test]
    fn what_is_none_is_said() {
        let said = |text: &str| text.parse::<Requirement>().unwrap_err().to_string();
        assert_eq!(said("./here"), "`./here` does not begin with the name of a package");
        assert_eq!(said("ruff 0.9"), "`ruff 0.9` has neither versions nor an address after the name");
        assert_eq!(said("a; b"), "the marker ` b` cannot be read: `b` is no variable");
    }
}
