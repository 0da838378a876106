//! Settings of a run, resolved: flag over environment over file over default, each with its origin.

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::color::ColorMode;
use super::error::{LocatedValue, SettingsError, SettingsProblem};
use super::parse::{
    JobCount, ValueParseError, parse_choice, parse_count, parse_duration, parse_fail_fast, parse_jobs, parse_log_name,
    parse_positive, parse_switch,
};
use super::settings_file::{SettingsFile, plain_values};
use crate::cache::StoreOptions;
use crate::provision::{CacheMode, ProvisionOptions};
use crate::run::{
    FailFast, FlakyMode, OutputStyle, RetryPolicy, RunOptions, SessionOverrides, glob_matches, nonzero_limit,
};
use crate::text::did_you_mean;
use crate::trace::TraceMode;

/// Flags that override settings; `None` if not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsFlags {
    /// `--jobs`.
    pub jobs: Option<JobCount>,
    /// `--fail-fast`, or `Some(None)` for `--keep-going`.
    pub fail_fast: Option<Option<FailFast>>,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// `--idle-timeout`.
    pub idle_timeout: Option<Duration>,
    /// `--leak-timeout`.
    pub leak_timeout: Option<Duration>,
    /// `--load-timeout`.
    pub load_timeout: Option<Duration>,
    /// `--retries`.
    pub retries: Option<u32>,
    /// `--flaky-result`.
    pub flaky_result: Option<FlakyMode>,
    /// `--trace`.
    pub trace: Option<TraceMode>,
    /// `--output`.
    pub output: Option<OutputStyle>,
    /// `--logs`.
    pub logs: Option<PathBuf>,
    /// `--log-name`.
    pub log_name: Option<String>,
    /// `--nox`.
    pub nox: Option<PathBuf>,
    /// `--cache`.
    pub cache: Option<CacheMode>,
    /// `--locked`, or `Some(false)` for `--no-locked`.
    pub locked: Option<bool>,
    /// `--max-age`.
    pub max_age: Option<Duration>,
}

/// Origin of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingOrigin {
    /// A flag, such as `--timeout`.
    Flag(String),
    /// An environment variable, such as `NOXIDE_JOBS`.
    Variable(String),
    /// A settings file: file and line, such as `pyproject.toml:41`.
    File(String),
    /// No flag, variable or file.
    Default,
}

impl SettingOrigin {
    /// Returns whether the setting overrides the tables of sessions, which are in a file.
    fn should_override_session_tables(&self) -> bool {
        matches!(self, Self::Flag(_) | Self::Variable(_))
    }
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(text) | Self::Variable(text) | Self::File(text) => f.pad(text),
            Self::Default => f.pad("default"),
        }
    }
}

/// A value and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// The resolved value.
    pub value: T,
    /// Its origin.
    pub origin: SettingOrigin,
}

impl<T> Setting<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Setting<U> {
        Setting { value: change(self.value), origin: self.origin }
    }
}

/// All settings of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Number of slots.
    pub jobs: Setting<JobCount>,
    /// Reaction to a failure.
    pub fail_fast: Setting<Option<FailFast>>,
    /// Time limit of a session.
    pub timeout: Setting<Option<Duration>>,
    /// Limit of time without output.
    pub idle_timeout: Setting<Option<Duration>>,
    /// Time to wait for processes left running.
    pub leak_timeout: Setting<Duration>,
    /// Time between signals.
    pub grace_period: Setting<Duration>,
    /// Time limit for loading the noxfile.
    pub load_timeout: Setting<Duration>,
    /// Retries.
    pub retries: Setting<RetryPolicy>,
    /// Result of a session that passes on retry.
    pub flaky_result: Setting<FlakyMode>,
    /// When sessions are traced.
    pub trace: Setting<TraceMode>,
    /// How session output is shown.
    pub output: Setting<Option<OutputStyle>>,
    /// Number of runs to keep.
    pub keep_runs: Setting<NonZeroUsize>,
    /// Directory for copies of logs.
    pub logs: Setting<Option<PathBuf>>,
    /// Name pattern of those copies.
    pub log_name: Setting<String>,
    /// The nox to use.
    pub nox: Setting<Option<PathBuf>>,
    /// Whether the cache is used.
    pub cache: Setting<CacheMode>,
    /// Whether installs are constrained to uv.lock.
    pub locked: Setting<bool>,
    /// For how long after an install succeeded the same one is run offline.
    pub max_age: Setting<Option<Duration>>,
    file: SettingsFile,
}

/// Looks up an environment variable, like `std::env::var_os`.
pub type OsEnvLookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl Settings {
    /// Resolves flags, environment and file.
    ///
    /// # Errors
    /// All invalid variables.
    #[expect(clippy::too_many_lines, reason = "one entry for each setting")]
    pub fn resolve(
        flags: &SettingsFlags,
        variables: OsEnvLookup<'_>,
        file: SettingsFile,
    ) -> Result<Self, Vec<SettingsError>> {
        let mut resolver = SettingResolver { variables, errors: Vec::new() };
        let default = RunOptions::default();
        let path = |text: &str| Ok(Some(PathBuf::from(text)));
        let output = |text: &str| parse_choice(text).map(Some);
        let settings = Self {
            jobs: resolver.resolve_jobs(flags.jobs, file.jobs.clone()),
            fail_fast: resolver.resolve_setting(
                "fail-fast",
                flags.fail_fast,
                parse_fail_fast,
                file.fail_fast.clone(),
                None,
            ),
            timeout: resolver.resolve_limit("timeout", flags.timeout, file.timeout.clone()),
            idle_timeout: resolver.resolve_limit("idle-timeout", flags.idle_timeout, file.idle_timeout.clone()),
            leak_timeout: resolver.resolve_setting(
                "leak-timeout",
                flags.leak_timeout,
                parse_duration,
                file.leak_timeout.clone(),
                default.leak_timeout,
            ),
            grace_period: resolver.resolve_setting(
                "grace-period",
                None,
                parse_duration,
                file.grace_period.clone(),
                default.grace_period,
            ),
            load_timeout: resolver.resolve_setting(
                "load-timeout",
                flags.load_timeout,
                parse_duration,
                file.load_timeout.clone(),
                default.load_timeout,
            ),
            retries: resolver.resolve_retries(flags.retries, file.retries.clone()),
            flaky_result: resolver.resolve_setting(
                "flaky-result",
                flags.flaky_result,
                parse_choice,
                file.flaky_result.clone(),
                default.flaky_mode,
            ),
            trace: resolver.resolve_setting("trace", flags.trace, parse_choice, file.trace.clone(), default.trace_mode),
            output: resolver.resolve_setting(
                "output",
                flags.output.map(Some),
                output,
                wrap_some(file.output.clone()),
                None,
            ),
            keep_runs: resolver.resolve_setting(
                "keep-runs",
                None,
                parse_positive,
                file.keep_runs.clone(),
                default.keep_runs,
            ),
            logs: resolver.resolve_setting(
                "logs",
                flags.logs.clone().map(Some),
                path,
                wrap_some_path(file.logs.clone()),
                None,
            ),
            log_name: resolver.resolve_setting(
                "log-name",
                flags.log_name.clone(),
                parse_log_name,
                file.log_name.clone(),
                default.log_name_template,
            ),
            nox: resolver.resolve_setting("nox", flags.nox.clone().map(Some), path, None, None),
            cache: resolver.resolve_setting(
                "cache",
                flags.cache,
                parse_choice,
                file.cache.mode.clone(),
                CacheMode::Auto,
            ),
            locked: resolver.resolve_setting("locked", flags.locked, parse_switch, file.cache.locked.clone(), false),
            max_age: resolver.resolve_limit("max-age", flags.max_age, file.cache.max_age.clone()),
            file,
        };
        resolver.check_color_variable();
        if resolver.errors.is_empty() { Ok(settings) } else { Err(resolver.errors) }
    }

    /// Returns the overrides of sessions in the order of the settings file, without what a flag or a variable overrides.
    pub fn session_overrides(&self) -> Vec<SessionOverrides> {
        let mut all: Vec<SessionOverrides> =
            self.file.sessions.iter().map(super::settings_file::SessionTable::to_overrides).collect();
        for overrides in &mut all {
            if self.timeout.origin.should_override_session_tables() {
                overrides.timeout = None;
            }
            if self.idle_timeout.origin.should_override_session_tables() {
                overrides.idle_timeout = None;
            }
            if self.retries.origin.should_override_session_tables() {
                let count = self.retries.value.count;
                overrides.retries = overrides.retries.map(|policy| RetryPolicy { count, ..policy });
            }
        }
        all
    }

    /// Returns the options of the run.
    pub fn run_options(&self) -> RunOptions {
        RunOptions {
            jobs: self.jobs.value.count(),
            fail_fast: self.fail_fast.value,
            timeout: self.timeout.value,
            idle_timeout: self.idle_timeout.value,
            leak_timeout: self.leak_timeout.value,
            grace_period: self.grace_period.value,
            load_timeout: self.load_timeout.value,
            retries: self.retries.value,
            flaky_mode: self.flaky_result.value,
            output_style: self.output.value,
            keep_runs: self.keep_runs.value,
            secret_patterns: plain_values(&self.file.secrets),
            log_directory: self.logs.value.clone(),
            log_name_template: self.log_name.value.clone(),
            provision: ProvisionOptions {
                mode: self.cache.value,
                uses_locked_versions: self.locked.value,
                offline_max_age: self.max_age.value,
                constraints: None,
            },
            session_overrides: self.session_overrides(),
            trace_mode: self.trace.value,
            learned_conflicts: Vec::new(),
        }
    }

    /// Returns the options of the store in `dir`; `home` replaces `~`, and `is_ci` is the default of `bytecode`.
    pub(crate) fn store_options(&self, dir: Option<PathBuf>, home: Option<&Path>, is_ci: bool) -> StoreOptions {
        let table = &self.file.cache;
        let default = StoreOptions::default();
        let expanded = |text: &LocatedValue<String>| match (text.value.strip_prefix("~/"), home) {
            (Some(below), Some(home)) => home.join(below),
            _ => PathBuf::from(&text.value),
        };
        StoreOptions {
            dir,
            max_size: table.max_size.as_ref().map_or(default.max_size, |size| size.value),
            max_unused: table.max_unused.as_ref().map_or(default.max_unused, |age| age.value),
            directories: table.directories.iter().map(expanded).collect(),
            bytecode: table.bytecode.as_ref().map_or(is_ci, |bytecode| bytecode.value),
            ..default
        }
    }

    /// Returns an error for each name in the settings that matches none of `names` (base names and signatures).
    pub fn validate_session_names<N: AsRef<str>>(&self, names: &[N]) -> Vec<SettingsError> {
        let tables = &self.file.sessions;
        let references = tables.iter().flat_map(|table| std::iter::once(&table.pattern).chain(&table.after));
        references
            .filter(|reference| {
                let pattern = reference.value.as_str();
                !names.iter().any(|name| name.as_ref() == pattern || glob_matches(pattern, name.as_ref()))
            })
            .map(|reference| {
                let name = reference.value.clone();
                let hint = did_you_mean(&name, names.iter().map(AsRef::as_ref));
                let is_glob = name.contains(['*', '?']);
                let problem =
                    if is_glob { SettingsProblem::UnmatchedGlob(name) } else { SettingsProblem::UnknownSession(name) };
                SettingsError::InFile { location: reference.location.clone(), problem, hint }
            })
            .collect()
    }
}

/// Reads variables and picks the value by precedence.
pub(super) struct SettingResolver<'a> {
    pub(super) variables: OsEnvLookup<'a>,
    pub(super) errors: Vec<SettingsError>,
}

impl SettingResolver<'_> {
    fn resolve_setting<T>(
        &mut self,
        key: &str,
        flag: Option<T>,
        read: impl Fn(&str) -> Result<T, ValueParseError>,
        file: Option<LocatedValue<T>>,
        default: T,
    ) -> Setting<T> {
        // Always read: an invalid variable is an error even if a flag overrides it.
        let variable = self.read_variable(&format!("NOXIDE_{}", key.to_uppercase().replace('-', "_")), read);
        if let Some(value) = flag {
            return Setting { value, origin: SettingOrigin::Flag(format!("--{key}")) };
        }
        match (variable, file) {
            (Some(setting), _) => setting,
            (None, Some(located)) => {
                Setting { value: located.value, origin: SettingOrigin::File(located.location.file_and_line()) }
            }
            (None, None) => Setting { value: default, origin: SettingOrigin::Default },
        }
    }

    /// Returns the value of a variable; an empty one is ignored.
    pub(super) fn read_variable<T>(
        &mut self,
        name: &str,
        read: impl Fn(&str) -> Result<T, ValueParseError>,
    ) -> Option<Setting<T>> {
        let raw = (self.variables)(name).filter(|value| !value.is_empty())?;
        match raw.to_str().ok_or(ValueParseError::NotUtf8).and_then(read) {
            Ok(value) => Some(Setting { value, origin: SettingOrigin::Variable(name.to_owned()) }),
            Err(problem) => {
                let value = raw.to_string_lossy().into_owned();
                self.errors.push(SettingsError::InVariable { name: name.to_owned(), value, problem });
                None
            }
        }
    }

    fn resolve_jobs(&mut self, flag: Option<JobCount>, file: Option<LocatedValue<JobCount>>) -> Setting<JobCount> {
        let jobs = self.resolve_setting("jobs", flag, parse_jobs, file, JobCount::Auto);
        if jobs.origin == SettingOrigin::Default {
            self.read_variable("NOX_PARALLEL", parse_jobs).unwrap_or(jobs)
        } else {
            jobs
        }
    }

    fn resolve_limit(
        &mut self,
        key: &str,
        flag: Option<Duration>,
        file: Option<LocatedValue<Duration>>,
    ) -> Setting<Option<Duration>> {
        self.resolve_setting(key, flag, parse_duration, file, Duration::ZERO).map(nonzero_limit)
    }

    /// A flag or a variable sets only the count; the delay is from the file.
    fn resolve_retries(&mut self, flag: Option<u32>, file: Option<LocatedValue<RetryPolicy>>) -> Setting<RetryPolicy> {
        let known = file.as_ref().map_or_else(RetryPolicy::default, |located| located.value);
        let with = |count| RetryPolicy { count, ..known };
        self.resolve_setting(
            "retries",
            flag.map(with),
            |text| parse_count(text).map(with),
            file,
            RetryPolicy::default(),
        )
    }

    /// Only validates: the color mode is resolved earlier, before anything is printed.
    fn check_color_variable(&mut self) {
        self.read_variable("NOXIDE_COLOR", parse_choice::<ColorMode>);
    }
}

fn wrap_some<T>(located: Option<LocatedValue<T>>) -> Option<LocatedValue<Option<T>>> {
    located.map(|located| LocatedValue { value: Some(located.value), location: located.location })
}

fn wrap_some_path(located: Option<LocatedValue<String>>) -> Option<LocatedValue<Option<PathBuf>>> {
    located.map(|located| LocatedValue { value: Some(located.value.into()), location: located.location })
}
