//! Options of a run, and of each session after its overrides are applied.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::project::NoxfileManifest;
use crate::provision::{CacheMode, ProvisionOptions};
use crate::trace::{LearnedConflict, TraceMode};

/// Number of runs that are kept by default.
const DEFAULT_KEEP_RUNS: NonZeroUsize = NonZeroUsize::new(100).unwrap();

/// Maximum delay after doubling; a longer first delay is not shortened.
const MAX_BACKOFF_DELAY: Duration = Duration::from_mins(5);

/// All options of a run, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// Number of slots; `None` means the number of CPUs that this process may use.
    pub jobs: Option<NonZeroUsize>,
    /// What a failure does to the rest of the run; with `None` the run continues.
    pub fail_fast: Option<FailFast>,
    /// How long a session may run unless the settings of the session say otherwise; `None` means no limit.
    pub timeout: Option<Duration>,
    /// How long a session may print nothing unless the settings of the session say otherwise.
    pub idle_timeout: Option<Duration>,
    /// How long to wait for processes that a finished session left running with its output open.
    pub leak_timeout: Duration,
    /// Time between SIGINT and SIGTERM, and between SIGTERM and SIGKILL.
    pub grace_period: Duration,
    /// How long nox may take to load the noxfile.
    pub load_timeout: Duration,
    /// How often a failed session is retried unless the settings of the session say otherwise.
    pub retries: RetryPolicy,
    /// How a session that passes after a failed attempt counts.
    pub flaky_mode: FlakyMode,
    /// How sessions' output is printed; `None` means grouped.
    pub output_style: Option<OutputStyle>,
    /// Maximum number of runs in `.nox/.noxide/runs`.
    pub keep_runs: NonZeroUsize,
    /// Names or globs of environment variables whose values are masked, beyond those that look like credentials.
    pub secret_patterns: Vec<String>,
    /// A directory for a second copy of each session's log.
    pub log_directory: Option<PathBuf>,
    /// File names in `log_directory`; `{session}` stands for the file name of the session's log, without its extension.
    pub log_name_template: String,
    /// Options of provisioning.
    pub provision: ProvisionOptions,
    /// Overrides for single sessions, in the order of the settings file.
    pub session_overrides: Vec<SessionOverrides>,
    /// Which sessions are traced.
    pub trace_mode: TraceMode,
    /// Sessions that must not overlap according to past traces.
    pub learned_conflicts: Vec<LearnedConflict>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            jobs: None,
            fail_fast: None,
            timeout: None,
            idle_timeout: None,
            leak_timeout: Duration::from_millis(200),
            grace_period: Duration::from_secs(10),
            load_timeout: Duration::from_mins(1),
            retries: RetryPolicy::default(),
            flaky_mode: FlakyMode::Pass,
            output_style: None,
            keep_runs: DEFAULT_KEEP_RUNS,
            secret_patterns: Vec::new(),
            log_directory: None,
            log_name_template: "{session}.log".to_owned(),
            provision: ProvisionOptions::default(),
            session_overrides: Vec::new(),
            trace_mode: TraceMode::default(),
            learned_conflicts: Vec::new(),
        }
    }
}

impl RunOptions {
    /// Applies what the noxfile sets, unless a flag overrides it.
    pub(crate) fn apply_noxfile(&mut self, manifest: &NoxfileManifest, has_fail_fast_flag: bool) {
        if manifest.stop_on_first_error && !has_fail_fast_flag {
            self.fail_fast.get_or_insert(FailFast::Wait);
        }
    }

    /// Returns the overrides that match a session's base name or one of its signatures, in the order of the settings file.
    pub fn overrides_for<'a>(
        &'a self,
        base: &'a str,
        signatures: &'a [String],
    ) -> impl Iterator<Item = &'a SessionOverrides> {
        self.session_overrides.iter().filter(move |overrides| overrides.matches(base, signatures))
    }

    /// Returns the options of one session: those of the run, then all matching overrides; later ones win.
    ///
    /// Lists (`after`, `locks`, `artifacts`) add up without duplicates; `env` adds up by name.
    pub fn session_options(&self, base: &str, signatures: &[String]) -> SessionOptions {
        let mut session = SessionOptions {
            timeout: self.timeout,
            idle_timeout: self.idle_timeout,
            retries: self.retries,
            ..SessionOptions::default()
        };
        for overrides in self.overrides_for(base, signatures) {
            session.apply_overrides(overrides);
        }
        session
    }
}

/// A table of settings for the sessions that a pattern matches; they take precedence over those of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionOverrides {
    /// A base name (`tests`), a signature (`tests-3.12(db='pg')`) or a glob over both (`tests-*`).
    pub pattern: String,
    /// Where it is declared, such as `pyproject.toml:41`.
    pub location: String,
    /// Patterns of sessions that must finish before these start.
    pub after: Vec<String>,
    /// Named locks: sessions that share one do not overlap.
    pub locks: Vec<String>,
    /// Whether each must run alone.
    pub exclusive: Option<bool>,
    /// Slots that each takes.
    pub cpus: Option<CpuCount>,
    /// Memory that each is expected to need, in bytes.
    pub memory: Option<u64>,
    /// How long each may run; zero means no limit.
    pub timeout: Option<Duration>,
    /// How long each may print nothing; zero means no limit.
    pub idle_timeout: Option<Duration>,
    /// How often and when each is retried.
    pub retries: Option<RetryPolicy>,
    /// Environment variables for each.
    pub env: Vec<(String, String)>,
    /// Globs of files to copy to the run's directory.
    pub artifacts: Vec<String>,
}

impl SessionOverrides {
    /// Whether they apply to a session.
    pub(crate) fn matches(&self, base: &str, signatures: &[String]) -> bool {
        pattern_matches(&self.pattern, base, signatures)
    }
}

/// Whether a pattern (a base name, a signature, or a glob over both) matches a session.
pub(crate) fn pattern_matches(pattern: &str, base: &str, signatures: &[String]) -> bool {
    std::iter::once(base)
        .chain(signatures.iter().map(String::as_str))
        .any(|name| name == pattern || glob_matches(pattern, name))
}

/// Whether a glob matches a text from start to end: `*` is any number of characters, `?` is one; all others are
/// literal.
///
/// Brackets are literal, because nox's session names contain them.
pub(crate) fn glob_matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut g, mut t) = (0, 0);
    // Backtracking state: position of the last `*`, and the end of the text that it matches so far.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                g += 1;
                t += 1;
            }
            _ => match star {
                Some((position, covered)) => {
                    star = Some((position, covered + 1));
                    g = position + 1;
                    t = covered + 1;
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

/// Options of one session, all overrides applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionOptions {
    /// Sessions it waits for by settings.
    pub after: Vec<AfterPattern>,
    /// Named locks it holds while it runs.
    pub locks: Vec<String>,
    /// Whether it runs alone; `None` means that nox's `allow_parallel` decides.
    pub exclusive: Option<bool>,
    /// Slots it takes; `None` means one.
    pub cpus: Option<CpuCount>,
    /// Memory it is expected to need, in bytes.
    pub memory: Option<u64>,
    /// How long it may run; `None` means no limit.
    pub timeout: Option<Duration>,
    /// How long it may print nothing; `None` means no limit.
    pub idle_timeout: Option<Duration>,
    /// How often it is retried.
    pub retries: RetryPolicy,
    /// Environment variables from settings.
    pub env: Vec<(String, String)>,
    /// Globs of files to copy to the run's directory.
    pub artifacts: Vec<String>,
}

impl SessionOptions {
    fn apply_overrides(&mut self, overrides: &SessionOverrides) {
        for pattern in &overrides.after {
            if !self.after.iter().any(|after| after.pattern == *pattern) {
                self.after.push(AfterPattern { pattern: pattern.clone(), location: overrides.location.clone() });
            }
        }
        extend_unique(&mut self.locks, &overrides.locks);
        extend_unique(&mut self.artifacts, &overrides.artifacts);
        for (name, value) in &overrides.env {
            self.env.retain(|(known, _)| known != name);
            self.env.push((name.clone(), value.clone()));
        }
        self.exclusive = overrides.exclusive.or(self.exclusive);
        self.cpus = overrides.cpus.or(self.cpus);
        self.memory = overrides.memory.or(self.memory);
        self.timeout = overrides.timeout.map_or(self.timeout, nonzero_limit);
        self.idle_timeout = overrides.idle_timeout.map_or(self.idle_timeout, nonzero_limit);
        self.retries = overrides.retries.unwrap_or(self.retries);
    }
}

/// Returns a duration as a limit; zero means no limit.
pub(crate) fn nonzero_limit(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

fn extend_unique(known: &mut Vec<String>, more: &[String]) {
    for text in more {
        if !known.contains(text) {
            known.push(text.clone());
        }
    }
}

/// A need declared by settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AfterPattern {
    /// The sessions to wait for: a base name, a signature or a glob.
    pub(crate) pattern: String,
    /// Where it is declared, such as `pyproject.toml:41`.
    pub(crate) location: String,
}

/// How many slots a session takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuCount {
    /// This many, or all slots if there are fewer.
    Count(NonZeroUsize),
    /// All slots.
    All,
}

/// How often a failed session is retried, and after which delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub count: u32,
    /// Delay before the first retry.
    pub delay: Duration,
    /// How the delay grows.
    pub backoff: RetryBackoff,
}

impl RetryPolicy {
    /// Returns the delay before a retry, counted from 1; `None` if there is no such retry.
    pub(crate) fn delay_before(&self, retry: u32) -> Option<Duration> {
        if retry == 0 || retry > self.count {
            return None;
        }
        Some(match self.backoff {
            RetryBackoff::Fixed => self.delay,
            RetryBackoff::Exponential => {
                let factor = 1_u32.checked_shl(retry - 1).unwrap_or(u32::MAX);
                self.delay.saturating_mul(factor).min(MAX_BACKOFF_DELAY.max(self.delay))
            }
        })
    }
}

/// How the delay between attempts grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetryBackoff {
    /// It stays the same.
    #[default]
    Fixed,
    /// It doubles, up to five minutes.
    Exponential,
}

/// What a failure does to the rest of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailFast {
    /// Start nothing more; let running sessions finish.
    Wait,
    /// Start nothing more; stop running sessions.
    Kill,
}

/// How a session that passes after a failed attempt counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlakyMode {
    /// As passed, and reported as flaky.
    #[default]
    Pass,
    /// As failed, and reported as flaky.
    Fail,
}

/// How sessions' output is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStyle {
    /// A session's log as one block when it ends: of all sessions in CI, otherwise of failed ones.
    Grouped,
    /// As it comes, from all running sessions.
    Stream,
    /// As it comes, each line prefixed with its session's name.
    Labelled,
    /// Output of failed sessions only, at the end.
    Quiet,
}

/// A choice with named values, which are the same in settings files, environment variables and flags.
pub(crate) trait NamedChoice: Copy + PartialEq + 'static {
    /// Every value with its name.
    const CHOICES: &'static [(&'static str, Self)];

    /// Returns the value with this name.
    fn from_name(name: &str) -> Option<Self> {
        Self::CHOICES.iter().find(|(known, _)| *known == name).map(|(_, choice)| *choice)
    }
}

impl NamedChoice for FailFast {
    const CHOICES: &'static [(&'static str, Self)] = &[("wait", Self::Wait), ("kill", Self::Kill)];
}

impl NamedChoice for CacheMode {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("off", Self::Off), ("require", Self::Require)];
}

impl NamedChoice for FlakyMode {
    const CHOICES: &'static [(&'static str, Self)] = &[("pass", Self::Pass), ("fail", Self::Fail)];
}

impl NamedChoice for RetryBackoff {
    const CHOICES: &'static [(&'static str, Self)] = &[("fixed", Self::Fixed), ("exponential", Self::Exponential)];
}

impl NamedChoice for OutputStyle {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("grouped", Self::Grouped), ("stream", Self::Stream), ("labelled", Self::Labelled), ("quiet", Self::Quiet)];
}

impl fmt::Display for CpuCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::All => f.pad("all"),
        }
    }
}

#[cfg(test)]
mod tests;
