//! What a caller chooses for an audit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::dialect::Dialect;
pub use super::finding::{Persona, Severity};

/// Choices of an audit; all have a default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditOptions {
    /// The dialect of every file, whatever folder it lies in.
    pub dialect: Option<Dialect>,
    /// How many jobs the project's runners take at once, where known.
    pub runner_capacity: Option<usize>,
    /// Version of the forge, where known.
    pub forge_version: Option<ForgeVersion>,
    /// Whether pedantic findings are wanted.
    pub pedantic: bool,
    /// Settings by rule id or name.
    pub rules: BTreeMap<String, RuleSettings>,
    /// What was measured here, in words, of sessions for which restoring packages took longer than it saved.
    pub cache_losses: BTreeMap<String, String>,
}

/// Settings of one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RuleSettings {
    /// Whether it looks at all.
    #[serde(default)]
    pub(crate) disable: bool,
    /// Another severity.
    #[serde(default)]
    pub(crate) severity: Option<Severity>,
    /// Another persona: `regular` for a pedantic rule that is wanted.
    #[serde(default)]
    pub(crate) persona: Option<Persona>,
    /// Places to pass over: `ci.yml`, `ci.yml:12`, with or without folders.
    #[serde(default)]
    pub(crate) ignore: Vec<String>,
}

/// A forge's version, as far as rules ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForgeVersion {
    /// Before the first dot.
    pub(crate) major: u32,
    /// After it.
    pub(crate) minor: u32,
}

impl std::str::FromStr for ForgeVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.trim_start_matches('v').split(['.', '-', '+']);
        let mut number = || parts.next().map_or(Some(0), |part| part.parse().ok());
        match (number(), number()) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err(format!("`{text}` is no version such as 14 or 1.26")),
        }
    }
}

impl AuditOptions {
    /// The settings of a rule, by its id or its name.
    pub(crate) fn rule_settings(&self, id: &str, name: &str) -> Option<&RuleSettings> {
        self.rules.get(id).or_else(|| self.rules.get(name))
    }

    /// Whether the forge is known to be at least that version.
    pub(crate) fn is_forge_at_least(&self, major: u32, minor: u32) -> bool {
        self.forge_version.is_some_and(|version| version >= ForgeVersion { major, minor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_settings() {
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
