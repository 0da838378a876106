//! Audit options, resolved by the caller.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::finding::Severity;
pub use super::forge::Forge;
pub use super::install_source::{InstallSource, InstallSourceError};

/// Options of an audit; each has a default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditOptions {
    /// Forge of every file; by default, each file's directory decides.
    pub forge: Option<Forge>,
    /// Number of jobs that the project's runners can run at once, if known.
    pub runner_capacity: Option<usize>,
    /// Version of the forge, if known.
    pub forge_version: Option<ForgeVersion>,
    /// Whether to report pedantic findings.
    pub pedantic: bool,
    /// Settings of rules, by ID or name.
    pub rules: BTreeMap<String, RuleSettings>,
    /// Sessions for which restoring packages took longer than it saved, each with the measurement as text.
    pub cache_losses: BTreeMap<String, String>,
    /// What workflows install noxide from, if it is known.
    pub install: Option<InstallSource>,
}

/// Lowest severity at which findings fail an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailLevel {
    /// From this severity on.
    From(Severity),
    /// At none.
    Never,
}

/// Error of parsing a fail level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be info, low, medium, high or never")]
pub struct UnknownFailLevel;

impl Default for FailLevel {
    fn default() -> Self {
        Self::From(Severity::High)
    }
}

impl FailLevel {
    /// Whether a finding of this severity fails the audit.
    pub(crate) fn includes(self, severity: Severity) -> bool {
        matches!(self, Self::From(lowest) if severity >= lowest)
    }
}

impl std::str::FromStr for FailLevel {
    type Err = UnknownFailLevel;

    fn from_str(text: &str) -> Result<Self, UnknownFailLevel> {
        match text {
            "never" => Ok(Self::Never),
            _ => text.parse().map(Self::From).map_err(|_| UnknownFailLevel),
        }
    }
}

impl std::fmt::Display for FailLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::From(severity) => severity.fmt(f),
            Self::Never => f.pad("never"),
        }
    }
}

/// Settings of one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RuleSettings {
    /// Turns the rule off.
    #[serde(default)]
    pub(crate) disable: bool,
    /// Overrides the severity of its findings.
    #[serde(default)]
    pub(crate) severity: Option<Severity>,
    /// Overrides whether its findings are pedantic; `false` reports a pedantic rule always.
    #[serde(default)]
    pub(crate) pedantic: Option<bool>,
    /// Locations to ignore: `ci.yml` or `ci.yml:12`, with or without directories.
    #[serde(default)]
    pub(crate) ignore: Vec<String>,
}

/// Version of a forge, compared by its first two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForgeVersion {
    /// Number before the first dot.
    pub(crate) major: u32,
    /// Number after the first dot.
    pub(crate) minor: u32,
}

/// Error of parsing a forge version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version such as 14 or 1.26")]
pub struct ForgeVersionError(String);

impl std::str::FromStr for ForgeVersion {
    type Err = ForgeVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.trim_start_matches('v').split(['.', '-', '+']);
        let mut number = || parts.next().map_or(Some(0), |part| part.parse().ok());
        match (number(), number()) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err(ForgeVersionError(text.to_owned())),
        }
    }
}

impl AuditOptions {
    /// Returns the settings of a rule, found by ID or name.
    pub(crate) fn rule_settings(&self, id: &str, name: &str) -> Option<&RuleSettings> {
        self.rules.get(id).or_else(|| self.rules.get(name))
    }

    /// Whether the forge is known to have at least this version.
    pub(crate) fn is_forge_at_least(&self, major: u32, minor: u32) -> bool {
        self.forge_version.is_some_and(|version| version >= ForgeVersion { major, minor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fail_levels_include_higher_severities() {
        assert_eq!(FailLevel::default().to_string().parse(), Ok(FailLevel::From(Severity::High)));
        assert_eq!(FailLevel::Never.to_string().parse(), Ok(FailLevel::Never));
        let medium: FailLevel = "medium".parse().unwrap();
        assert!(
            medium.includes(Severity::High) && medium.includes(Severity::Medium) && !medium.includes(Severity::Low)
        );
        assert!(!FailLevel::Never.includes(Severity::High));
        assert_eq!("none".parse::<FailLevel>().unwrap_err().to_string(), "must be info, low, medium, high or never");
    }

    #[test]
    fn versions_are_compared_and_settings_found() {
        assert_eq!("v14.0.1".parse(), Ok(ForgeVersion { major: 14, minor: 0 }));
        assert_eq!("1.26-rc1".parse(), Ok(ForgeVersion { major: 1, minor: 26 }));
        assert_eq!("15".parse(), Ok(ForgeVersion { major: 15, minor: 0 }));
        assert!("new".parse::<ForgeVersion>().is_err());
        let mut options = AuditOptions { forge_version: "1.26".parse().ok(), ..AuditOptions::default() };
        assert!(options.is_forge_at_least(1, 26) && !options.is_forge_at_least(1, 27));
        options.rules.insert("no-timeout".to_owned(), RuleSettings { disable: true, ..RuleSettings::default() });
        assert!(
            options.rule_settings("NX301", "no-timeout").unwrap().disable
                && options.rule_settings("NX101", "x").is_none()
        );
    }
}
