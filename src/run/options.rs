//! What a caller may choose about a run, and the rules for single sessions folded.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::provision::{CacheMode, ProvisionOptions};
use crate::trace::LearnedConflict;

/// The longest wait between two attempts that doubling may lead to; a longer first delay is kept as it is.
const MAX_BACKOFF_DELAY: Duration = Duration::from_mins(5);

/// All choices about a run, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// Room for sessions in CPUs; none means what the machine, its affinity and its cgroup give.
    pub jobs: Option<NonZeroUsize>,
    /// What a failure does to the rest of the run; none means the rest goes on.
    pub fail_fast: Option<FailFast>,
    /// How long a session may run unless its rule says otherwise; none means as long as it likes.
    pub timeout: Option<Duration>,
    /// How long a session may be silent unless its rule says otherwise.
    pub idle_timeout: Option<Duration>,
    /// How long to wait for processes that a finished session left behind with its output open.
    pub leak_timeout: Duration,
    /// How long sessions get between SIGINT and SIGTERM, and between SIGTERM and SIGKILL.
    pub grace_period: Duration,
    /// How long nox may take to load the noxfile.
    pub load_timeout: Duration,
    /// How often a failed session is tried again unless its rule says otherwise.
    pub retries: RetryPolicy,
    /// What a pass after a failure counts as.
    pub flaky_mode: FlakyMode,
    /// How sessions' output reaches the screen; none means what suits the screen.
    pub output_style: Option<OutputStyle>,
    /// How many runs are kept in `.noxide/runs`.
    pub history_limit: NonZeroUsize,
    /// Names or globs of environment variables whose values are masked, beyond those that look like credentials.
    pub secret_patterns: Vec<String>,
    /// A folder that gets one log a session besides the run's own.
    pub log_folder: Option<PathBuf>,
    /// File names in `logs`; `{session}` stands for the session's name, made fit for a file name.
    pub log_name_template: String,
    /// How dependencies are provided.
    pub provision: ProvisionOptions,
    /// Rules for single sessions, in file order.
    pub session_rules: Vec<SessionRule>,
    /// Which sessions must be kept apart, as past traces taught.
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
            history_limit: NonZeroUsize::MIN.saturating_add(99),
            secret_patterns: Vec::new(),
            log_folder: None,
            log_name_template: "{session}.log".to_owned(),
            provision: ProvisionOptions::default(),
            session_rules: Vec::new(),
            learned_conflicts: Vec::new(),
        }
    }
}

impl RunOptions {
    /// The rules that speak of a session, in file order; it is known by its base name and by its signatures.
    pub fn rules_for<'a>(&'a self, base: &'a str, signatures: &'a [String]) -> impl Iterator<Item = &'a SessionRule> {
        self.session_rules.iter().filter(move |rule| rule.matches(base, signatures))
    }

    /// What counts for one session: the run's choices, then every rule that speaks of it, the later one winning.
    ///
    /// Lists (`after`, `locks`, `outputs`) add up, without doubles; `env` adds up by name.
    pub fn session_options(&self, base: &str, signatures: &[String]) -> SessionOptions {
        let mut session = SessionOptions {
            timeout: self.timeout,
            idle_timeout: self.idle_timeout,
            retries: self.retries,
            ..SessionOptions::default()
        };
        for rule in self.rules_for(base, signatures) {
            session.apply_rule(rule);
        }
        session
    }
}

/// What a settings file says of the sessions that a pattern names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionRule {
    /// A base name (`tests`), a signature (`tests-3.12(db='pg')`) or a glob over both (`tests-*`).
    pub pattern: String,
    /// Where it stands, such as `pyproject.toml:41`.
    pub location: String,
    /// Sessions, named like `pattern`, that must be over before these start.
    pub after: Vec<String>,
    /// Named locks: two sessions with a lock in common do not overlap.
    pub locks: Vec<String>,
    /// Whether nothing else may run beside them.
    pub exclusive: Option<bool>,
    /// Slots each takes.
    pub cpus: Option<CpuCount>,
    /// Bytes of memory each is expected to need.
    pub memory: Option<u64>,
    /// How long each may run; zero means as long as it likes.
    pub timeout: Option<Duration>,
    /// How long each may be silent; zero means as long as it likes.
    pub idle_timeout: Option<Duration>,
    /// How often each is tried again.
    pub retries: Option<RetryPolicy>,
    /// Environment variables each gets.
    pub env: Vec<(String, String)>,
    /// Globs of files to keep with the run's record.
    pub outputs: Vec<String>,
}

impl SessionRule {
    /// Whether the rule speaks of a session.
    pub(crate) fn matches(&self, base: &str, signatures: &[String]) -> bool {
        pattern_matches(&self.pattern, base, signatures)
    }
}

/// Whether a pattern (a base name, a signature, or a glob over both) names a session.
pub(crate) fn pattern_matches(pattern: &str, base: &str, signatures: &[String]) -> bool {
    std::iter::once(base)
        .chain(signatures.iter().map(String::as_str))
        .any(|name| name == pattern || glob_matches(pattern, name))
}

/// Whether a glob matches a whole text: `*` is any run of characters, `?` is one; all else is itself.
///
/// Brackets are no special signs, because nox's names are full of them.
pub(crate) fn glob_matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut g, mut t) = (0, 0);
    // Where to go on when what follows the last `*` does not fit: the `*`, and the text it has taken so far.
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
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    g = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

/// What counts for one session once all rules are folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionOptions {
    /// What it waits for by settings.
    pub after: Vec<AfterRule>,
    /// Named locks it holds while it runs.
    pub locks: Vec<String>,
    /// Whether it runs alone; none leaves it to nox's `allow_parallel`.
    pub exclusive: Option<bool>,
    /// Slots it takes; none means one, or what history says.
    pub cpus: Option<CpuCount>,
    /// Bytes of memory it is expected to need.
    pub memory: Option<u64>,
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// How long it may be silent.
    pub idle_timeout: Option<Duration>,
    /// How often it is tried again.
    pub retries: RetryPolicy,
    /// Environment variables it gets.
    pub env: Vec<(String, String)>,
    /// Globs of files to keep.
    pub outputs: Vec<String>,
}

impl SessionOptions {
    fn apply_rule(&mut self, rule: &SessionRule) {
        for on in &rule.after {
            if !self.after.iter().any(|after| after.pattern == *on) {
                self.after.push(AfterRule { pattern: on.clone(), location: rule.location.clone() });
            }
        }
        extend_unique(&mut self.locks, &rule.locks);
        extend_unique(&mut self.outputs, &rule.outputs);
        for (name, value) in &rule.env {
            self.env.retain(|(known, _)| known != name);
            self.env.push((name.clone(), value.clone()));
        }
        self.exclusive = rule.exclusive.or(self.exclusive);
        self.cpus = rule.cpus.or(self.cpus);
        self.memory = rule.memory.or(self.memory);
        self.timeout = rule.timeout.map_or(self.timeout, nonzero_limit);
        self.idle_timeout = rule.idle_timeout.map_or(self.idle_timeout, nonzero_limit);
        self.retries = rule.retries.unwrap_or(self.retries);
    }
}

/// A duration as a limit: zero is none.
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

/// A need that settings declare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AfterRule {
    /// The sessions waited for: a base name, a signature or a glob.
    pub(crate) pattern: String,
    /// Where it is declared, such as `pyproject.toml:41`.
    pub(crate) location: String,
}

/// Slots a session takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuCount {
    /// So many, or as many as there are if that is fewer.
    Count(NonZeroUsize),
    /// All there are.
    All,
}

/// How often a failed session is tried again, and after what wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub count: u32,
    /// Wait before the first retry.
    pub delay: Duration,
    /// How the wait grows.
    pub backoff: RetryBackoff,
}

impl RetryPolicy {
    /// The wait before a retry, counted from 1; none when there is no such retry.
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

/// How the wait between attempts grows.
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
    /// Nothing more starts; what runs may finish.
    Wait,
    /// Nothing more starts; what runs is ended.
    Kill,
}

/// What a pass after a failed attempt counts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlakyMode {
    /// A pass, named flaky.
    #[default]
    Pass,
    /// A failure, named flaky.
    Fail,
}

/// How sessions' output reaches the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStyle {
    /// A session's output in one piece when it ends.
    Grouped,
    /// As it comes, unchanged; sensible with one slot.
    Stream,
    /// As it comes, each line behind its session's name.
    Labelled,
    /// Only failed sessions' output, at the end.
    Quiet,
}

/// A choice among a few words, written alike in files, variables and flags.
pub(crate) trait NamedChoice: Copy + PartialEq + 'static {
    /// Every choice with its word.
    const CHOICES: &'static [(&'static str, Self)];

    /// The choice a word names.
    fn from_name(word: &str) -> Option<Self> {
        Self::CHOICES.iter().find(|(known, _)| *known == word).map(|(_, choice)| *choice)
    }
}

impl NamedChoice for FailFast {
    const CHOICES: &'static [(&'static str, Self)] = &[("wait", Self::Wait), ("kill", Self::Kill)];
}

impl NamedChoice for CacheMode {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("off", Self::Off), ("require", Self::Require)];
}

impl NamedChoice for bool {
    const CHOICES: &'static [(&'static str, Self)] = &[("true", true), ("false", false)];
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
