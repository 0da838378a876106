//! Table `audit` of a settings file.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use schemars::JsonSchema;
use toml::de::DeTable;

use super::error::LocatedValue;
use super::parse::ValueParseError;
use super::schema::{ChoiceSchema, remove_required, schema_keys};
use super::toml_reader::{TomlNode, TomlReader};
use crate::audit::options::{Forge, ForgeVersion, RuleSettings, Severity};
use crate::run::NamedChoice;

impl NamedChoice for Forge {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("forgejo", Self::Forgejo), ("gitea", Self::Gitea), ("github", Self::Github)];
}

impl NamedChoice for Severity {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("info", Self::Info), ("low", Self::Low), ("medium", Self::Medium), ("high", Self::High)];
}

/// Settings of `noxide audit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "audit", rename_all = "kebab-case", deny_unknown_fields, transform = remove_required)]
pub struct AuditTable {
    /// Forge of every file, instead of by directory.
    #[schemars(with = "ChoiceSchema<Forge>")]
    pub forge: Option<LocatedValue<Forge>>,
    /// Number of jobs that the project's runners run at once.
    #[schemars(with = "NonZeroUsize")]
    pub runner_capacity: Option<LocatedValue<NonZeroUsize>>,
    /// Version of the forge, such as "14" for Forgejo or "1.26" for Gitea.
    #[schemars(with = "String")]
    pub forge_version: Option<LocatedValue<ForgeVersion>>,
    /// Whether pedantic findings are reported, which few projects want.
    #[schemars(with = "bool", extend("default" = false))]
    pub pedantic: Option<LocatedValue<bool>>,
    /// File of findings to ignore, relative to the project.
    #[schemars(with = "String")]
    pub baseline: Option<LocatedValue<String>>,
    /// Settings of rules, by ID or name.
    #[schemars(with = "BTreeMap<String, RuleTable>")]
    pub rules: Vec<RuleTable>,
}

/// Settings of one rule.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "rule", rename_all = "kebab-case", deny_unknown_fields, transform = remove_required)]
pub struct RuleTable {
    /// Number or name of the rule: the name of the table.
    #[schemars(skip)]
    pub rule: LocatedValue<String>,
    /// Whether the rule is disabled.
    #[schemars(with = "bool", extend("default" = false))]
    pub disable: Option<LocatedValue<bool>>,
    /// Severity of its findings, instead of the rule's own.
    #[schemars(with = "ChoiceSchema<Severity>")]
    pub severity: Option<LocatedValue<Severity>>,
    /// Whether its findings are pedantic, that is reported only with `--pedantic`; by default as the rule says.
    #[schemars(with = "bool")]
    pub pedantic: Option<LocatedValue<bool>>,
    /// Locations to ignore: "ci.yml", "ci.yml:12".
    #[schemars(with = "Vec<String>", extend("default" = []))]
    pub ignore: Vec<LocatedValue<String>>,
}

impl AuditTable {
    /// Reads the table; errors are added to the reader.
    pub(super) fn read(reader: &mut TomlReader, table: &DeTable<'_>) -> Self {
        let mut audit = Self::default();
        for (key, node) in table {
            match key.get_ref().as_ref() {
                key @ "forge" => audit.forge = reader.read_choice(key, node),
                key @ "runner-capacity" => audit.runner_capacity = reader.read_positive(key, node),
                key @ "forge-version" => audit.forge_version = reader.read_string(key, node, parse_forge_version),
                key @ "pedantic" => audit.pedantic = reader.read_bool(key, node),
                key @ "baseline" => audit.baseline = reader.read_string(key, node, |text| Ok(text.to_owned())),
                key @ "rules" => audit.rules = read_rules(reader, key, node),
                unknown => reader.report_unknown_key(unknown, key.span(), &schema_keys::<Self>()),
            }
        }
        audit
    }
}

fn read_rules(reader: &mut TomlReader, key: &str, node: &TomlNode<'_>) -> Vec<RuleTable> {
    let Some(table) = reader.read_table(key, node) else { return Vec::new() };
    let mut rules = Vec::new();
    for (name, node) in table {
        let rule = LocatedValue { value: name.get_ref().to_string(), location: reader.location(name.span()) };
        if let Some(table) = reader.read_table(name.get_ref(), node) {
            rules.push(RuleTable::read(reader, rule, table));
        }
    }
    rules
}

impl RuleTable {
    fn read(reader: &mut TomlReader, rule: LocatedValue<String>, table: &DeTable<'_>) -> Self {
        let mut read = Self { rule, disable: None, severity: None, pedantic: None, ignore: Vec::new() };
        for (key, node) in table {
            match key.get_ref().as_ref() {
                key @ "disable" => read.disable = reader.read_bool(key, node),
                key @ "severity" => read.severity = reader.read_choice(key, node),
                key @ "pedantic" => read.pedantic = reader.read_bool(key, node),
                key @ "ignore" => read.ignore = reader.read_strings(key, node, |text| Ok(text.to_owned())),
                unknown => reader.report_unknown_key(unknown, key.span(), &schema_keys::<Self>()),
            }
        }
        read
    }

    /// Returns the options of the rule.
    pub(super) fn to_rule_settings(&self) -> RuleSettings {
        RuleSettings {
            disable: self.disable.as_ref().is_some_and(|disable| disable.value),
            severity: self.severity.as_ref().map(|severity| severity.value),
            pedantic: self.pedantic.as_ref().map(|pedantic| pedantic.value),
            ignore: self.ignore.iter().map(|location| location.value.clone()).collect(),
        }
    }
}

pub(super) fn parse_forge_version(text: &str) -> Result<ForgeVersion, ValueParseError> {
    text.parse().map_err(|_| ValueParseError::Version)
}
