//! Reads values out of TOML with their places, gathering everything that is wrong.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::place::{Placed, SettingsError, Source, Spot, Wrong, did_you_mean};
use super::text::{
    Jobs, Misread, listed, parse_age, parse_count, parse_cpus, parse_duration, parse_fail_fast, parse_jobs,
    parse_memory, parse_number, parse_variable_name, parse_word,
};
use crate::run::{Backoff, Cpus, FailFast, RetryPolicy, Words};

/// A value with its span.
pub(super) type Node<'i> = Spanned<DeValue<'i>>;

/// What lists take.
const TEXTS: &str = "a list of strings";

/// Reads one file and keeps what is wrong with it.
pub(super) struct Reader {
    source: Arc<Source>,
    /// The table that settings stand in, such as `tool.noxide.`; empty where they stand at the top.
    below: String,
    pub(super) errors: Vec<SettingsError>,
}

impl Reader {
    pub(super) fn new(source: Arc<Source>, below: &[&str]) -> Self {
        let below = below.iter().map(|table| format!("{table}.")).collect();
        Self { source, below, errors: Vec::new() }
    }

    pub(super) fn spot(&self, span: Range<usize>) -> Spot {
        Spot { source: Arc::clone(&self.source), span }
    }

    pub(super) fn fault(&mut self, span: Range<usize>, wrong: Wrong, hint: Option<String>) {
        let spot = self.spot(span);
        self.errors.push(SettingsError::InFile { spot, wrong, hint });
    }

    /// A key that is none of the known.
    pub(super) fn unknown(&mut self, key: &str, span: Range<usize>, known: &[String]) {
        let hint = did_you_mean(key, known.iter().map(String::as_str));
        self.fault(span, Wrong::UnknownKey(key.to_owned()), hint);
    }

    /// A key of a session that stands among those of the run.
    pub(super) fn session_key(&mut self, key: &str, span: Range<usize>) {
        let hint = format!("it is said of sessions, as in [{}sessions.NAME]", self.below);
        self.fault(span, Wrong::UnknownKey(key.to_owned()), Some(hint));
    }

    /// A key of the run that stands among those of a session.
    pub(super) fn run_key(&mut self, key: &str, span: Range<usize>) {
        let place = if self.below.is_empty() {
            "the top".to_owned()
        } else {
            format!("[{}]", self.below.trim_end_matches('.'))
        };
        let hint = format!("it is said of the whole run, so it goes to {place}");
        self.fault(span, Wrong::UnknownKey(key.to_owned()), Some(hint));
    }

    pub(super) fn table<'t, 'i>(&mut self, key: &str, node: &'t Node<'i>) -> Option<&'t DeTable<'i>> {
        let table = node.get_ref().as_table();
        if table.is_none() {
            self.kind(key, "a table", node);
        }
        table
    }

    /// A value that `read` takes: none from it means the wrong kind.
    fn value<T>(
        &mut self,
        key: &str,
        wants: impl Into<Cow<'static, str>>,
        node: &Node<'_>,
        read: impl Fn(&DeValue<'_>) -> Option<Result<T, Misread>>,
    ) -> Option<Placed<T>> {
        match read(node.get_ref()) {
            Some(Ok(value)) => Some(Placed { value, spot: self.spot(node.span()) }),
            Some(Err(why)) => {
                let quoted_number = node.get_ref().as_str().filter(|text| text.parse::<i64>().is_ok());
                let hint = quoted_number.map(|text| format!("write {text} without quotes"));
                self.fault(node.span(), Wrong::Value { key: key.to_owned(), why }, hint);
                None
            }
            None => {
                self.kind(key, wants, node);
                None
            }
        }
    }

    fn kind(&mut self, key: &str, wants: impl Into<Cow<'static, str>>, node: &Node<'_>) {
        let found = match node.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let wants = wants.into();
        let text = self.source.text.get(node.span()).unwrap_or_default();
        let hint = match node.get_ref() {
            DeValue::String(_) if wants == TEXTS => Some(format!("put it in brackets: [{text}]")),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) if wants == "a string" || wants == TEXTS => {
                Some(format!("put it in quotes: \"{text}\""))
            }
            _ => None,
        };
        self.fault(node.span(), Wrong::Kind { key: key.to_owned(), wants, found }, hint);
    }

    pub(super) fn duration(&mut self, key: &str, node: &Node<'_>) -> Option<Placed<Duration>> {
        self.value(key, "a duration such as \"10m\" or a number of seconds", node, |value| {
            text_of(value).or_else(|| integer_of(value)).map(|text| parse_duration(&text))
        })
    }

    pub(super) fn age(&mut self, key: &str, node: &Node<'_>) -> Option<Placed<Duration>> {
        self.value(key, "an age such as \"30d\" or a number of seconds", node, |value| {
            text_of(value).or_else(|| integer_of(value)).map(|text| parse_age(&text))
        })
    }

    pub(super) fn jobs(&mut self, key: &str, node: &Node<'_>) -> Option<Placed<Jobs>> {
        self.value(key, "a number from 1 up or \"auto\"", node, |value| match text_of(value) {
            Some(text) => Some(parse_jobs(&text).and_then(|jobs| match jobs {
                Jobs::Auto => Ok(jobs),
                Jobs::Count(_) => Err(Misread::Jobs),
            })),
            None => integer_of(value).map(|text| parse_jobs(&text)),
        })
    }

    pub(super) fn cpus(&mut self, key: &str, node: &Node<'_>) -> Option<Placed<Cpus>> {
        self.value(key, "a number from 1 up or \"all\"", node, |value| match text_of(value) {
            Some(text) => Some(if text == "all" { Ok(Cpus::All) } else { Err(Misread::Cpus) }),
            None => integer_of(value).map(|text| parse_cpus(&text)),
        })
    }

    pub(super) fn memory(&mut self, key: &str, node: &Node<'_>) -> Option<Placed<u64>> {
        self.value(key, "a size such as \"800MiB\"", node, |value| text_of(value).map(|text| parse_memory(&text)))
    }

    pub(super) fn number(&mut self, key: &str, node: &Node<'_>) -> Option<Placed<NonZeroUsize>> {
        self.value(key, "a number from 1 up", node, |value| integer_of(value).map(|text| parse_number(&text)))
    }

    pub(super) fn boolean(&mut self, key: &str, node: &Node<'_>) -> Option<Placed<bool>> {
        self.value(key, "true or false", node, |value| value.as_bool().map(Ok))
    }

    pub(super) fn fail_fast(&mut self, key: &str, node: &Node<'_>) -> Option<Placed<Option<FailFast>>> {
        self.value(key, "\"wait\", \"kill\" or a boolean", node, |value| {
            text_of(value).or_else(|| value.as_bool().map(|is| is.to_string())).map(|text| parse_fail_fast(&text))
        })
    }

    pub(super) fn word<T: Words>(&mut self, key: &str, node: &Node<'_>) -> Option<Placed<T>> {
        let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
        self.value(key, listed(&words), node, |value| text_of(value).map(|text| parse_word(&text)))
    }

    /// A string that `read` takes.
    pub(super) fn text<T>(
        &mut self,
        key: &str,
        node: &Node<'_>,
        read: impl Fn(&str) -> Result<T, Misread>,
    ) -> Option<Placed<T>> {
        self.value(key, "a string", node, |value| text_of(value).map(|text| read(&text)))
    }

    /// A list of strings, each of which `read` takes.
    pub(super) fn texts(
        &mut self,
        key: &str,
        node: &Node<'_>,
        read: impl Fn(&str) -> Result<String, Misread>,
    ) -> Vec<Placed<String>> {
        match node.get_ref().as_array() {
            Some(list) => list.iter().filter_map(|item| self.text(key, item, &read)).collect(),
            None => {
                self.kind(key, TEXTS, node);
                Vec::new()
            }
        }
    }

    /// A table of environment variables.
    pub(super) fn variables(&mut self, key: &str, node: &Node<'_>) -> Vec<(String, String)> {
        let Some(table) = self.table(key, node) else { return Vec::new() };
        let mut variables = Vec::new();
        for (name, node) in table {
            if let Err(why) = parse_variable_name(name.get_ref()) {
                self.fault(name.span(), Wrong::Value { key: name.get_ref().to_string(), why }, None);
            } else if let Some(text) = self.text(name.get_ref(), node, |text| Ok(text.to_owned())) {
                variables.push((name.get_ref().to_string(), text.value));
            }
        }
        variables
    }

    /// Retries: a count, or a table of `count`, `delay`, `backoff`.
    pub(super) fn retries(&mut self, key: &str, node: &Node<'_>, known: &[String]) -> Option<Placed<RetryPolicy>> {
        let Some(table) = node.get_ref().as_table() else {
            return self.value(key, "a number from 0 up or a table", node, |value| {
                integer_of(value).map(|text| Ok(RetryPolicy { count: parse_count(&text)?, ..RetryPolicy::default() }))
            });
        };
        let mut policy = RetryPolicy::default();
        let (mut delay, mut counted) = (None, false);
        for (name, node) in table {
            match name.get_ref().as_ref() {
                name @ "count" => {
                    counted = true;
                    let count = self.value(name, "a number from 0 up", node, |value| {
                        integer_of(value).map(|text| parse_count(&text))
                    });
                    policy.count = count.map_or(0, |count| count.value);
                }
                name @ "delay" => delay = self.duration(name, node),
                name @ "backoff" => {
                    let backoff = self.word(name, node);
                    policy.backoff = backoff.map_or(Backoff::Fixed, |backoff| backoff.value);
                }
                unknown => self.unknown(unknown, name.span(), known),
            }
        }
        if !counted {
            self.fault(node.span(), Wrong::Missing { table: key.to_owned(), key: "count" }, None);
        }
        // Doubling nothing gives nothing, so growing waits begin with a second.
        let first = if policy.backoff == Backoff::Exponential { Duration::from_secs(1) } else { Duration::ZERO };
        policy.delay = delay.map_or(first, |delay| delay.value);
        Some(Placed { value: policy, spot: self.spot(node.span()) })
    }
}

fn text_of(value: &DeValue<'_>) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// An integer in decimal digits, whatever base it was written in; one that no program could mean stays as written.
fn integer_of(value: &DeValue<'_>) -> Option<String> {
    let integer = value.as_integer()?;
    let number = i128::from_str_radix(integer.as_str(), integer.radix());
    Some(number.map_or_else(|_| integer.as_str().to_owned(), |number| number.to_string()))
}
