//! Reader of TOML values with their locations, which collects all errors.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{LocatedValue, SettingsError, SettingsLocation, SettingsProblem, SettingsSource};
use super::parse::{
    JobCount, ValueParseError, parse_choice, parse_count, parse_cpus, parse_duration, parse_fail_fast, parse_jobs,
    parse_memory, parse_positive, parse_variable_name,
};
use crate::run::{CpuCount, FailFast, NamedChoice, RetryBackoff, RetryPolicy};
use crate::text::{did_you_mean, join_quoted};

/// A value with its span.
pub(super) type TomlNode<'i> = Spanned<DeValue<'i>>;

/// Most errors of a file that are reported: each shows its lines.
const MAX_ERRORS: usize = 50;
/// Expected type of lists.
const STRING_LIST: &str = "a list of strings";

/// Reads one file and collects its errors.
pub(super) struct TomlReader {
    pub(super) source: Arc<SettingsSource>,
    /// The table of the settings, such as `tool.noxide.`; empty if they are at the top.
    table_prefix: String,
    pub(super) errors: Vec<SettingsError>,
    /// Number of errors that are not reported.
    pub(super) skipped_errors: usize,
}

impl TomlReader {
    pub(super) fn new(source: Arc<SettingsSource>, tables: &[&str]) -> Self {
        let table_prefix = tables.iter().map(|table| format!("{table}.")).collect();
        Self { source, table_prefix, errors: Vec::new(), skipped_errors: 0 }
    }

    pub(super) fn location(&self, span: Range<usize>) -> SettingsLocation {
        SettingsLocation { source: Arc::clone(&self.source), span }
    }

    pub(super) fn add_error(&mut self, span: Range<usize>, problem: SettingsProblem, hint: Option<String>) {
        if self.errors.len() >= MAX_ERRORS {
            self.skipped_errors += 1;
            return;
        }
        let location = self.location(span);
        self.errors.push(SettingsError::InFile { location, problem, hint });
    }

    /// Reports an unknown key.
    pub(super) fn report_unknown_key(&mut self, key: &str, span: Range<usize>, known: &[String]) {
        let hint = did_you_mean(key, known.iter().map(String::as_str));
        self.add_error(span, SettingsProblem::UnknownKey(key.to_owned()), hint);
    }

    /// Reports a key of sessions among those of the run.
    pub(super) fn report_session_key(&mut self, key: &str, span: Range<usize>) {
        let hint = format!("set it for sessions, in [{}sessions.NAME]", self.table_prefix);
        self.add_error(span, SettingsProblem::UnknownKey(key.to_owned()), Some(hint));
    }

    /// Reports a key of the run among those of a session.
    pub(super) fn report_run_key(&mut self, key: &str, span: Range<usize>) {
        let table = if self.table_prefix.is_empty() {
            "at the top of the file".to_owned()
        } else {
            format!("in [{}]", self.table_prefix.trim_end_matches('.'))
        };
        let hint = format!("set it for the whole run, {table}");
        self.add_error(span, SettingsProblem::UnknownKey(key.to_owned()), Some(hint));
    }

    pub(super) fn read_table<'t, 'i>(&mut self, key: &str, node: &'t TomlNode<'i>) -> Option<&'t DeTable<'i>> {
        let table = node.get_ref().as_table();
        if table.is_none() {
            self.report_wrong_type(key, "a table", node);
        }
        table
    }

    /// Reads a value; `None` from `read` means the wrong type.
    fn read_value<T>(
        &mut self,
        key: &str,
        expected: impl Into<Cow<'static, str>>,
        node: &TomlNode<'_>,
        read: impl Fn(&DeValue<'_>) -> Option<Result<T, ValueParseError>>,
    ) -> Option<LocatedValue<T>> {
        match read(node.get_ref()) {
            Some(Ok(value)) => Some(LocatedValue { value, location: self.location(node.span()) }),
            Some(Err(reason)) => {
                let quoted_number = node.get_ref().as_str().filter(|text| text.parse::<i64>().is_ok());
                let hint = quoted_number.map(|text| format!("remove the quotes: {text}"));
                self.add_error(node.span(), SettingsProblem::InvalidValue { key: key.to_owned(), reason }, hint);
                None
            }
            None => {
                self.report_wrong_type(key, expected, node);
                None
            }
        }
    }

    fn report_wrong_type(&mut self, key: &str, expected: impl Into<Cow<'static, str>>, node: &TomlNode<'_>) {
        let found = match node.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let expected = expected.into();
        let text = self.source.text.get(node.span()).unwrap_or_default();
        let hint = match node.get_ref() {
            DeValue::String(_) if expected == STRING_LIST => Some(format!("write a list: [{text}]")),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_)
                if expected == "a string" || expected == STRING_LIST =>
            {
                Some(format!("add quotes: \"{text}\""))
            }
            _ => None,
        };
        self.add_error(node.span(), SettingsProblem::WrongType { key: key.to_owned(), expected, found }, hint);
    }

    pub(super) fn read_duration(&mut self, key: &str, node: &TomlNode<'_>) -> Option<LocatedValue<Duration>> {
        self.read_value(key, "a duration such as \"10m\" or a number of seconds", node, |value| {
            string_value(value).or_else(|| integer_digits(value)).map(|text| parse_duration(&text))
        })
    }

    pub(super) fn read_jobs(&mut self, key: &str, node: &TomlNode<'_>) -> Option<LocatedValue<JobCount>> {
        self.read_value(key, "a number from 1 to 10000 or \"auto\"", node, |value| match string_value(value) {
            Some(text) => Some(parse_jobs(&text).and_then(|jobs| match jobs {
                JobCount::Auto => Ok(jobs),
                JobCount::Count(_) => Err(ValueParseError::Jobs),
            })),
            None => integer_digits(value).map(|text| parse_jobs(&text)),
        })
    }

    pub(super) fn read_cpus(&mut self, key: &str, node: &TomlNode<'_>) -> Option<LocatedValue<CpuCount>> {
        self.read_value(key, "a number of at least 1 or \"all\"", node, |value| match string_value(value) {
            Some(text) => Some(if text == "all" { Ok(CpuCount::All) } else { Err(ValueParseError::Cpus) }),
            None => integer_digits(value).map(|text| parse_cpus(&text)),
        })
    }

    pub(super) fn read_memory(&mut self, key: &str, node: &TomlNode<'_>) -> Option<LocatedValue<u64>> {
        self.read_value(key, "a size such as \"800MiB\"", node, |value| {
            string_value(value).map(|text| parse_memory(&text))
        })
    }

    pub(super) fn read_positive(&mut self, key: &str, node: &TomlNode<'_>) -> Option<LocatedValue<NonZeroUsize>> {
        self.read_value(key, "a number of at least 1", node, |value| {
            integer_digits(value).map(|text| parse_positive(&text))
        })
    }

    pub(super) fn read_bool(&mut self, key: &str, node: &TomlNode<'_>) -> Option<LocatedValue<bool>> {
        self.read_value(key, "true or false", node, |value| value.as_bool().map(Ok))
    }

    pub(super) fn read_fail_fast(&mut self, key: &str, node: &TomlNode<'_>) -> Option<LocatedValue<Option<FailFast>>> {
        self.read_value(key, "\"wait\", \"kill\" or a boolean", node, |value| {
            string_value(value).or_else(|| value.as_bool().map(|is| is.to_string())).map(|text| parse_fail_fast(&text))
        })
    }

    pub(super) fn read_choice<T: NamedChoice>(&mut self, key: &str, node: &TomlNode<'_>) -> Option<LocatedValue<T>> {
        let names: Vec<&str> = T::CHOICES.iter().map(|(name, _)| *name).collect();
        self.read_value(key, join_quoted(&names), node, |value| string_value(value).map(|text| parse_choice(&text)))
    }

    /// Reads a string.
    pub(super) fn read_string<T>(
        &mut self,
        key: &str,
        node: &TomlNode<'_>,
        read: impl Fn(&str) -> Result<T, ValueParseError>,
    ) -> Option<LocatedValue<T>> {
        self.read_value(key, "a string", node, |value| string_value(value).map(|text| read(&text)))
    }

    /// Reads a list of strings.
    pub(super) fn read_strings(
        &mut self,
        key: &str,
        node: &TomlNode<'_>,
        read: impl Fn(&str) -> Result<String, ValueParseError>,
    ) -> Vec<LocatedValue<String>> {
        match node.get_ref().as_array() {
            Some(list) => list.iter().filter_map(|item| self.read_string(key, item, &read)).collect(),
            None => {
                self.report_wrong_type(key, STRING_LIST, node);
                Vec::new()
            }
        }
    }

    /// Reads a table of environment variables.
    pub(super) fn read_env_table(&mut self, key: &str, node: &TomlNode<'_>) -> Vec<(String, String)> {
        let Some(table) = self.read_table(key, node) else { return Vec::new() };
        let mut variables = Vec::new();
        for (name, node) in table {
            if let Err(reason) = parse_variable_name(name.get_ref()) {
                self.add_error(
                    name.span(),
                    SettingsProblem::InvalidValue { key: name.get_ref().to_string(), reason },
                    None,
                );
            } else if let Some(text) = self.read_string(name.get_ref(), node, |text| Ok(text.to_owned())) {
                variables.push((name.get_ref().to_string(), text.value));
            }
        }
        variables
    }

    /// Reads retries: a count, or a table of `count`, `delay`, `backoff`.
    pub(super) fn read_retries(
        &mut self,
        key: &str,
        node: &TomlNode<'_>,
        known: &[String],
    ) -> Option<LocatedValue<RetryPolicy>> {
        let Some(table) = node.get_ref().as_table() else {
            return self.read_value(key, "a number of at least 0 or a table", node, |value| {
                integer_digits(value)
                    .map(|text| Ok(RetryPolicy { count: parse_count(&text)?, ..RetryPolicy::default() }))
            });
        };
        let mut policy = RetryPolicy::default();
        let (mut delay, mut has_count) = (None, false);
        for (name, node) in table {
            match name.get_ref().as_ref() {
                name @ "count" => {
                    has_count = true;
                    let count = self.read_value(name, "a number of at least 0", node, |value| {
                        integer_digits(value).map(|text| parse_count(&text))
                    });
                    policy.count = count.map_or(0, |count| count.value);
                }
                name @ "delay" => delay = self.read_duration(name, node),
                name @ "backoff" => {
                    let backoff = self.read_choice(name, node);
                    policy.backoff = backoff.map_or(RetryBackoff::Fixed, |backoff| backoff.value);
                }
                unknown => self.report_unknown_key(unknown, name.span(), known),
            }
        }
        if !has_count {
            self.add_error(node.span(), SettingsProblem::MissingKey { table: key.to_owned(), key: "count" }, None);
        }
        // An exponential delay cannot grow from 0, so it starts at one second.
        let default_delay =
            if policy.backoff == RetryBackoff::Exponential { Duration::from_secs(1) } else { Duration::ZERO };
        policy.delay = delay.map_or(default_delay, |delay| delay.value);
        Some(LocatedValue { value: policy, location: self.location(node.span()) })
    }
}

fn string_value(value: &DeValue<'_>) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Returns an integer of any base in decimal digits; one that overflows is returned as written.
fn integer_digits(value: &DeValue<'_>) -> Option<String> {
    let integer = value.as_integer()?;
    let number = i128::from_str_radix(integer.as_str(), integer.radix());
    Some(number.map_or_else(|_| integer.as_str().to_owned(), |number| number.to_string()))
}
