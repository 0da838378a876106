//! The table `audit` of a settings file.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use schemars::JsonSchema;
use toml::de::DeTable;

use super::place::Placed;
use super::reader::{Node, Reader};
use super::shape::{WordText, keys_of, nothing_required};
use super::text::Misread;
use crate::audit::options::{Dialect, Persona, RuleSettings, Severity, Version};
use crate::run::Words;

impl Words for Dialect {
    const WORDS: &'static [(&'static str, Self)] =
        &[("forgejo", Self::Forgejo), ("gitea", Self::Gitea), ("github", Self::Github)];
}

impl Words for Persona {
    const WORDS: &'static [(&'static str, Self)] = &[("regular", Self::Regular), ("pedantic", Self::Pedantic)];
}

impl Words for Severity {
    const WORDS: &'static [(&'static str, Self)] =
        &[("info", Self::Info), ("low", Self::Low), ("medium", Self::Medium), ("high", Self::High)];
}

/// How workflows are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "audit", rename_all = "kebab-case", deny_unknown_fields, transform = nothing_required)]
pub struct AuditTable {
    /// The dialect of every file, whatever folder it lies in.
    #[schemars(with = "WordText<Dialect>")]
    pub dialect: Option<Placed<Dialect>>,
    /// How many jobs the project's runners take at once.
    #[schemars(with = "NonZeroUsize")]
    pub runner_capacity: Option<Placed<NonZeroUsize>>,
    /// The forge's version, such as "14" for Forgejo or "1.26" for Gitea.
    #[schemars(with = "String")]
    pub forge_version: Option<Placed<Version>>,
    /// Who reads the findings: everyone, or those who want all that can be said.
    #[schemars(with = "WordText<Persona>", extend("default" = "regular"))]
    pub persona: Option<Placed<Persona>>,
    /// A file of findings to pass over, relative to the project.
    #[schemars(with = "String")]
    pub baseline: Option<Placed<String>>,
    /// Settings of single rules, by number or name.
    #[schemars(with = "BTreeMap<String, RuleTable>")]
    pub rules: Vec<RuleTable>,
}

/// Settings of one rule.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "rule", rename_all = "kebab-case", deny_unknown_fields, transform = nothing_required)]
pub struct RuleTable {
    /// The rule's number or name: the name of the table.
    #[schemars(skip)]
    pub rule: Placed<String>,
    /// Whether the rule is left out.
    #[schemars(with = "bool", extend("default" = false))]
    pub disable: Option<Placed<bool>>,
    /// How bad its findings are, instead of what the rule says.
    #[schemars(with = "WordText<Severity>")]
    pub severity: Option<Placed<Severity>>,
    /// Who wants to hear of them, instead of what the rule says.
    #[schemars(with = "WordText<Persona>")]
    pub persona: Option<Placed<Persona>>,
    /// Places to pass over: "ci.yml", "ci.yml:12".
    #[schemars(with = "Vec<String>", extend("default" = []))]
    pub ignore: Vec<Placed<String>>,
}

impl AuditTable {
    /// Reads the table; what is wrong is left with the reader.
    pub(super) fn read(reader: &mut Reader, table: &DeTable<'_>) -> Self {
        let mut audit = Self::default();
        for (key, node) in table {
            match key.get_ref().as_ref() {
                key @ "dialect" => audit.dialect = reader.word(key, node),
                key @ "runner-capacity" => audit.runner_capacity = reader.number(key, node),
                key @ "forge-version" => audit.forge_version = reader.text(key, node, parse_version),
                key @ "persona" => audit.persona = reader.word(key, node),
                key @ "baseline" => audit.baseline = reader.text(key, node, |text| Ok(text.to_owned())),
                key @ "rules" => audit.rules = read_rules(reader, key, node),
                unknown => reader.unknown(unknown, key.span(), &keys_of::<Self>()),
            }
        }
        audit
    }
}

fn read_rules(reader: &mut Reader, key: &str, node: &Node<'_>) -> Vec<RuleTable> {
    let Some(table) = reader.table(key, node) else { return Vec::new() };
    let mut rules = Vec::new();
    for (name, node) in table {
        let rule = Placed { value: name.get_ref().to_string(), spot: reader.spot(name.span()) };
        if let Some(table) = reader.table(name.get_ref(), node) {
            rules.push(RuleTable::read(reader, rule, table));
        }
    }
    rules
}

impl RuleTable {
    fn read(reader: &mut Reader, rule: Placed<String>, table: &DeTable<'_>) -> Self {
        let mut read = Self { rule, disable: None, severity: None, persona: None, ignore: Vec::new() };
        for (key, node) in table {
            match key.get_ref().as_ref() {
                key @ "disable" => read.disable = reader.boolean(key, node),
                key @ "severity" => read.severity = reader.word(key, node),
                key @ "persona" => read.persona = reader.word(key, node),
                key @ "ignore" => read.ignore = reader.texts(key, node, |text| Ok(text.to_owned())),
                unknown => reader.unknown(unknown, key.span(), &keys_of::<Self>()),
            }
        }
        read
    }

    /// The settings as an audit takes them.
    pub(super) fn settings(&self) -> RuleSettings {
        RuleSettings {
            disable: self.disable.as_ref().is_some_and(|disable| disable.value),
            severity: self.severity.as_ref().map(|severity| severity.value),
            persona: self.persona.as_ref().map(|persona| persona.value),
            ignore: self.ignore.iter().map(|place| place.value.clone()).collect(),
        }
    }
}

pub(super) fn parse_version(text: &str) -> Result<Version, Misread> {
    text.parse().map_err(|_| Misread::Version)
}
