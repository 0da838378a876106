//! Parsers of the values in files, variables and flags: durations, sizes, counts, choices.

use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use thiserror::Error;

use crate::audit::options::{InstallSource, InstallSourceError};
use crate::run::{CpuCount, FailFast, NamedChoice};
use crate::text::join_quoted;

/// Units of memory, longest suffix first.
const MEMORY_UNITS: &[(&str, u64)] = &[
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
];

/// Maximum number of slots: more would only cost time and memory.
pub(super) const MAX_JOBS: usize = 10_000;

/// Why a value is invalid.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ValueParseError {
    /// Not a duration.
    #[error("not a duration; use a value such as `90s`, `10m`, `1h 30m` or `2d`, or a number of seconds")]
    Duration,
    /// A negative value.
    #[error("must not be negative")]
    Negative,
    /// Not a size.
    #[error("not a size; use a value such as `800MiB` or `1.5GB`")]
    Memory,
    /// Zero.
    #[error("must be greater than 0")]
    Zero,
    /// Not a number of slots, or `auto`.
    #[error("must be a number from 1 to {MAX_JOBS}, or `auto`")]
    Jobs,
    /// Not a number of slots, or `all`.
    #[error("must be a number of at least 1, or `all`")]
    Cpus,
    /// Not a count.
    #[error("must be a number of at least {minimum}")]
    Count {
        /// The minimum.
        minimum: u32,
    },
    /// Not a switch.
    #[error("must be `true`, `yes`, `on` or `1`, or `false`, `no`, `off` or `0`")]
    Switch,
    /// Not one of the choices.
    #[error("must be {}", join_quoted(.0))]
    UnknownChoice(Vec<&'static str>),
    /// A log name without placeholder, which would be the same file for every session.
    #[error("must contain `{{session}}`, the placeholder for the session's name")]
    MissingSessionPlaceholder,
    /// A log name with a directory.
    #[error("must be a file name without directories")]
    NotFileName,
    /// A path outside the project.
    #[error("must be inside the project, without a leading `/` and without `..`")]
    OutsideProject,
    /// Bytes that are not UTF-8.
    #[error("must be UTF-8")]
    NotUtf8,
    /// Not a forge's version.
    #[error("must be a version such as 14 or 1.26")]
    Version,
    /// Not a source to install noxide from.
    #[error(transparent)]
    InstallSource(#[from] InstallSourceError),
    /// An invalid name of an environment variable.
    #[error("must be the name of an environment variable")]
    VariableName,
}

pub(super) fn parse_install_source(text: &str) -> Result<InstallSource, ValueParseError> {
    Ok(text.parse()?)
}

/// Number of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobCount {
    /// As many as there are CPUs that noxide may use.
    Auto,
    /// A fixed number.
    Count(NonZeroUsize),
}

impl JobCount {
    /// Returns the number, unless it is automatic.
    pub fn count(self) -> Option<NonZeroUsize> {
        match self {
            Self::Auto => None,
            Self::Count(count) => Some(count),
        }
    }
}

/// Parses a duration: `90s`, `10m`, `1h 30m`, `1d`, `2w`, or a bare number of seconds. A day has 24 hours.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, ValueParseError> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    // `-5` is a number of seconds too, but negative.
    if text.parse::<i64>().is_ok() {
        return Err(ValueParseError::Negative);
    }
    let span: Span = text.parse().map_err(|_| ValueParseError::Duration)?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(ValueParseError::Duration); // their length varies
    }
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| ValueParseError::Duration)?;
    Duration::try_from(duration).map_err(|_| ValueParseError::Negative)
}

/// Parses a switch: `1`, `true`, `yes` or `on`, and their opposites.
pub(super) fn parse_switch(text: &str) -> Result<bool, ValueParseError> {
    match &*text.trim().to_ascii_lowercase() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(ValueParseError::Switch),
    }
}

/// Parses a size in bytes: `1.5GB`, `800MiB`.
pub(crate) fn parse_memory(text: &str) -> Result<u64, ValueParseError> {
    let text = text.trim().to_ascii_lowercase();
    let (number, factor) = MEMORY_UNITS
        .iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (number.trim_end(), *factor)))
        .ok_or(ValueParseError::Memory)?;
    if number.starts_with('-') {
        return Err(ValueParseError::Negative);
    }
    if number.is_empty() || !number.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err(ValueParseError::Memory);
    }
    let bytes = number.parse::<f64>().map_err(|_| ValueParseError::Memory)? * factor as f64;
    // Casting a float saturates, so this cannot overflow.
    match bytes as u64 {
        0 => Err(ValueParseError::Zero),
        bytes => Ok(bytes),
    }
}

/// Parses the value of `-j`: `auto` or a number of at least 1.
pub(crate) fn parse_jobs(text: &str) -> Result<JobCount, ValueParseError> {
    match text.trim() {
        auto if auto.eq_ignore_ascii_case("auto") => Ok(JobCount::Auto),
        number => match number.parse::<NonZeroUsize>() {
            Ok(count) if count.get() <= MAX_JOBS => Ok(JobCount::Count(count)),
            _ => Err(ValueParseError::Jobs),
        },
    }
}

/// Parses slots: `all` or a number of at least 1.
pub(crate) fn parse_cpus(text: &str) -> Result<CpuCount, ValueParseError> {
    match text.trim() {
        "all" => Ok(CpuCount::All),
        number => match number.parse::<NonZeroUsize>() {
            Ok(count) if count.get() <= MAX_JOBS => Ok(CpuCount::Count(count)),
            _ => Err(ValueParseError::Cpus),
        },
    }
}

/// Parses a count of at least 0.
pub(crate) fn parse_count(text: &str) -> Result<u32, ValueParseError> {
    text.trim().parse().map_err(|_| ValueParseError::Count { minimum: 0 })
}

/// Parses a number of at least 1.
pub(crate) fn parse_positive(text: &str) -> Result<NonZeroUsize, ValueParseError> {
    text.trim().parse().map_err(|_| ValueParseError::Count { minimum: 1 })
}

/// Parses the reaction to a failure: `wait`, `kill`, or a switch: on is `wait`, off keeps going.
pub(crate) fn parse_fail_fast(text: &str) -> Result<Option<FailFast>, ValueParseError> {
    let text = text.trim();
    let switched = || parse_switch(text).ok().map(|is_on| is_on.then_some(FailFast::Wait));
    FailFast::from_name(text)
        .map(Some)
        .or_else(switched)
        .ok_or_else(|| ValueParseError::UnknownChoice(vec!["wait", "kill", "true", "false"]))
}

/// Parses one of the choices.
pub(crate) fn parse_choice<T: NamedChoice>(text: &str) -> Result<T, ValueParseError> {
    T::from_name(text.trim())
        .ok_or_else(|| ValueParseError::UnknownChoice(T::CHOICES.iter().map(|(name, _)| *name).collect()))
}

/// Parses a pattern for names of log files.
pub(crate) fn parse_log_name(text: &str) -> Result<String, ValueParseError> {
    if text.contains(['/', '\\', '\0']) {
        Err(ValueParseError::NotFileName)
    } else if text.contains("{session}") {
        Ok(text.to_owned())
    } else {
        Err(ValueParseError::MissingSessionPlaceholder)
    }
}

/// Parses a glob that must stay inside the project.
pub(super) fn parse_project_glob(text: &str) -> Result<String, ValueParseError> {
    if text.is_empty() || text.starts_with('/') || text.split('/').any(|part| part == "..") {
        Err(ValueParseError::OutsideProject)
    } else {
        Ok(text.to_owned())
    }
}

/// Parses the name of an environment variable.
pub(super) fn parse_variable_name(text: &str) -> Result<String, ValueParseError> {
    if text.is_empty() || text.contains(['=', '\0']) { Err(ValueParseError::VariableName) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_weeks() {
        let hours = |text| parse_duration(text).map(|age| age.as_secs() / 3_600);
        assert_eq!([hours("30d"), hours("2w"), hours("36h"), hours("1d 12h")], [Ok(720), Ok(336), Ok(36), Ok(36)]);
        for wrong in ["d", "1y", "1mo", "P1M"] {
            assert_eq!(hours(wrong), Err(ValueParseError::Duration), "{wrong}");
        }
    }

    #[test]
    fn switches() {
        assert!(["1", "true", "YES", " on "].iter().all(|text| parse_switch(text) == Ok(true)));
        assert!(["0", "False", "no", "off"].iter().all(|text| parse_switch(text) == Ok(false)));
        assert_eq!(parse_switch("maybe"), Err(ValueParseError::Switch));
    }

    #[test]
    fn durations() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs_f64());
        assert_eq!(seconds("90"), Ok(90.0));
        assert_eq!(seconds("90s"), Ok(90.0));
        assert_eq!(seconds(" 1h 30m "), Ok(5400.0));
        assert_eq!(seconds("200ms"), Ok(0.2));
        assert_eq!(seconds("PT5M"), Ok(300.0));
        assert_eq!(seconds("0"), Ok(0.0));
        assert_eq!(seconds("-5"), Err(ValueParseError::Negative));
        assert_eq!(seconds("-5m"), Err(ValueParseError::Negative));
        assert_eq!(seconds("5m ago"), Err(ValueParseError::Negative));
        for wrong in ["", "soon", "10 parsecs", "1.5", "99999999999999999999"] {
            assert_eq!(seconds(wrong), Err(ValueParseError::Duration), "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_memory("800MiB"), Ok(800 << 20));
        assert_eq!(parse_memory("1.5 gb"), Ok(1_500_000_000));
        assert_eq!(parse_memory("64b"), Ok(64));
        assert_eq!(parse_memory("99999999999TB"), Ok(u64::MAX));
        assert_eq!(parse_memory("0.1b"), Err(ValueParseError::Zero));
        assert_eq!(parse_memory("-1GB"), Err(ValueParseError::Negative));
        for wrong in ["", "12", "GB", "1.2.3GB", "1e3MB", "infb", "nanb", "1G"] {
            assert_eq!(parse_memory(wrong), Err(ValueParseError::Memory), "{wrong}");
        }
    }

    #[test]
    fn counts_and_words() {
        let two = NonZeroUsize::MIN.saturating_add(1);
        assert_eq!(parse_jobs("2"), Ok(JobCount::Count(two)));
        assert_eq!(parse_jobs("AUTO").map(JobCount::count), Ok(None));
        assert_eq!(parse_jobs("2").map(JobCount::count), Ok(Some(two)));
        assert_eq!(parse_jobs("10000").map(|jobs| jobs.count().map(usize::from)), Ok(Some(10_000)));
        for wrong in ["0", "10001", "1000000000", "99999999999999999999999", "1e9"] {
            assert_eq!(parse_jobs(wrong), Err(ValueParseError::Jobs));
        }
        assert_eq!(parse_cpus("all"), Ok(CpuCount::All));
        assert_eq!(parse_cpus("2"), Ok(CpuCount::Count(two)));
        assert_eq!(parse_cpus("-1"), Err(ValueParseError::Cpus));
        assert_eq!(parse_count("0"), Ok(0));
        assert_eq!(parse_count("-1"), Err(ValueParseError::Count { minimum: 0 }));
        assert_eq!(parse_positive("2"), Ok(two));
        assert_eq!(parse_positive("0").map_err(|e| e.to_string()), Err("must be a number of at least 1".into()));
        assert_eq!(parse_fail_fast("kill"), Ok(Some(FailFast::Kill)));
        assert_eq!(parse_fail_fast("true"), Ok(Some(FailFast::Wait)));
        assert_eq!(parse_fail_fast("1"), Ok(Some(FailFast::Wait)));
        assert_eq!(parse_fail_fast("false"), Ok(None));
        assert_eq!(parse_fail_fast("no"), Ok(None));
        assert_eq!(
            parse_fail_fast("soon").map_err(|e| e.to_string()),
            Err("must be `wait`, `kill`, `true` or `false`".into())
        );
    }

    #[test]
    fn names_and_paths() {
        assert_eq!(parse_log_name("nox-{session}-output.log").as_deref(), Ok("nox-{session}-output.log"));
        assert_eq!(parse_log_name("all.log"), Err(ValueParseError::MissingSessionPlaceholder));
        assert_eq!(parse_log_name("../{session}"), Err(ValueParseError::NotFileName));
        assert_eq!(parse_project_glob("build/*.xml").as_deref(), Ok("build/*.xml"));
        for wrong in ["", "/etc/passwd", "../up", "a/../../b"] {
            assert_eq!(parse_project_glob(wrong), Err(ValueParseError::OutsideProject), "{wrong}");
        }
        assert_eq!(parse_variable_name("DB").as_deref(), Ok("DB"));
        assert_eq!(parse_variable_name("A=B"), Err(ValueParseError::VariableName));
    }
}
