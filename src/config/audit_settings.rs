//! Settings of an audit, resolved from flags, environment and the table `audit`.

use std::num::NonZeroUsize;

use super::audit_table::{RuleTable, parse_forge_version};
use super::error::{LocatedValue, SettingsError, SettingsProblem};
use super::parse::{ValueParseError, parse_choice, parse_install_source, parse_positive, parse_switch};
use super::settings::{OsEnvLookup, Setting, SettingOrigin, SettingResolver};
use super::settings_file::SettingsFile;
use crate::audit::options::{AuditOptions, Forge, ForgeVersion, InstallSource};
use crate::text::did_you_mean;

/// Flags of an audit that override settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFlags {
    /// `--forge`.
    pub forge: Option<Forge>,
    /// `--runner-capacity`.
    pub runner_capacity: Option<NonZeroUsize>,
    /// `--forge-version`.
    pub forge_version: Option<ForgeVersion>,
    /// `--pedantic`.
    pub pedantic: bool,
    /// `--baseline`.
    pub baseline: Option<String>,
    /// `--install`.
    pub install: Option<InstallSource>,
}

/// All settings of an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    /// Forge of every file, instead of by directory.
    pub forge: Setting<Option<Forge>>,
    /// Number of jobs that the runners run at once.
    pub runner_capacity: Setting<Option<NonZeroUsize>>,
    /// Version of the forge.
    pub forge_version: Setting<Option<ForgeVersion>>,
    /// Whether pedantic findings are included.
    pub pedantic: Setting<bool>,
    /// File of known findings.
    pub baseline: Setting<Option<String>>,
    /// Whether settings behind a link out of the project name the baseline, so that its path is not shown.
    pub(crate) hides_baseline: bool,
    /// What workflows install noxide from.
    pub install: Setting<Option<InstallSource>>,
    rules: Vec<RuleTable>,
}

impl AuditSettings {
    /// Resolves flags, environment (`NOXIDE_AUDIT_…`) and file.
    ///
    /// # Errors
    /// All invalid variables.
    pub(crate) fn resolve(
        flags: &AuditFlags,
        variables: OsEnvLookup<'_>,
        file: &SettingsFile,
    ) -> Result<Self, Vec<SettingsError>> {
        let mut resolver = SettingResolver { variables, errors: Vec::new() };
        let table = file.audit.clone();
        let text = |text: &str| Ok(text.to_owned());
        let pedantic = flags.pedantic.then_some(true);
        let pedantic = resolve_audit_setting(&mut resolver, "pedantic", pedantic, parse_switch, table.pedantic);
        let is_outside = table.baseline.as_ref().is_some_and(|path| path.location.source.leads_outside());
        let baseline = resolve_audit_setting(&mut resolver, "baseline", flags.baseline.clone(), text, table.baseline);
        let settings = Self {
            forge: resolve_audit_setting(&mut resolver, "forge", flags.forge, parse_choice, table.forge),
            runner_capacity: resolve_audit_setting(
                &mut resolver,
                "runner-capacity",
                flags.runner_capacity,
                parse_positive,
                table.runner_capacity,
            ),
            forge_version: resolve_audit_setting(
                &mut resolver,
                "forge-version",
                flags.forge_version,
                parse_forge_version,
                table.forge_version,
            ),
            pedantic: Setting { value: pedantic.value.unwrap_or(false), origin: pedantic.origin },
            hides_baseline: is_outside && matches!(baseline.origin, SettingOrigin::File(_)),
            baseline,
            install: resolve_named_setting(
                &mut resolver,
                ("install", "NOXIDE_INSTALL"),
                flags.install.clone(),
                parse_install_source,
                file.install.clone(),
            ),
            rules: table.rules,
        };
        if resolver.errors.is_empty() { Ok(settings) } else { Err(resolver.errors) }
    }

    /// Returns the options of the audit.
    pub(crate) fn audit_options(&self) -> AuditOptions {
        AuditOptions {
            forge: self.forge.value,
            runner_capacity: self.runner_capacity.value.map(NonZeroUsize::get),
            forge_version: self.forge_version.value,
            pedantic: self.pedantic.value,
            rules: self.rules.iter().map(|table| (table.rule.value.clone(), table.to_rule_settings())).collect(),
            cache_losses: std::collections::BTreeMap::new(),
            install: self.install.value.clone(),
        }
    }

    /// Returns an error for each rule in the settings whose number or name is unknown.
    pub(crate) fn validate_rules(&self, known: &[&str]) -> Vec<SettingsError> {
        let tables = self.rules.iter().filter(|table| !known.contains(&table.rule.value.as_str()));
        tables
            .map(|table| SettingsError::InFile {
                location: table.rule.location.clone(),
                problem: SettingsProblem::UnknownRule(table.rule.value.clone()),
                hint: did_you_mean(&table.rule.value, known.iter().copied()),
            })
            .collect()
    }
}

/// Resolves a setting: flag over variable `NOXIDE_AUDIT_…` over file.
fn resolve_audit_setting<T>(
    resolver: &mut SettingResolver<'_>,
    key: &str,
    flag: Option<T>,
    read: impl Fn(&str) -> Result<T, ValueParseError>,
    file: Option<LocatedValue<T>>,
) -> Setting<Option<T>> {
    let name = format!("NOXIDE_AUDIT_{}", key.to_uppercase().replace('-', "_"));
    resolve_named_setting(resolver, (key, &name), flag, read, file)
}

/// Resolves a setting: flag `--key` over a variable over file.
fn resolve_named_setting<T>(
    resolver: &mut SettingResolver<'_>,
    (key, variable): (&str, &str),
    flag: Option<T>,
    read: impl Fn(&str) -> Result<T, ValueParseError>,
    file: Option<LocatedValue<T>>,
) -> Setting<Option<T>> {
    let variable = resolver.read_variable(variable, read);
    match (flag, variable, file) {
        (Some(value), ..) => Setting { value: Some(value), origin: SettingOrigin::Flag(format!("--{key}")) },
        (None, Some(setting), _) => Setting { value: Some(setting.value), origin: setting.origin },
        (None, None, Some(located)) => {
            Setting { value: Some(located.value), origin: SettingOrigin::File(located.location.file_and_line()) }
        }
        (None, None, None) => Setting { value: None, origin: SettingOrigin::Default },
    }
}
