//! What may stand in a settings file: the type that is read and that the JSON schema is made from.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use toml::de::DeTable;

use super::audit_table::AuditTable;
use super::cache_table::CacheTable;
use super::error::{LocatedValue, SettingsProblem, SettingsSource};
use super::parse::{JobCount, ValueParseError, parse_log_name, parse_project_glob};
use super::schema_types::{
    CountOrAll, CountOrAuto, DurationText, FailFastText, MemoryText, RetriesText, WordText, nothing_required,
    schema_keys,
};
use super::toml_reader::{TomlNode, TomlReader};
use crate::run::{CpuCount, FailFast, FlakyMode, OutputStyle, RetryPolicy, SessionRule};

/// Settings of noxide: `noxide.toml`, or `[tool.noxide]` in `pyproject.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(title = "noxide settings", rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(transform = nothing_required)]
pub struct SettingsFile {
    /// CPUs to fill with sessions.
    #[schemars(with = "CountOrAuto", extend("default" = "auto"))]
    pub jobs: Option<LocatedValue<JobCount>>,
    /// What a failure does to the rest of the run: "wait" starts nothing more, "kill" also ends what runs.
    #[schemars(with = "FailFastText", extend("default" = false))]
    pub fail_fast: Option<LocatedValue<Option<FailFast>>>,
    /// How long a session may run; 0 means as long as it likes.
    #[schemars(with = "DurationText", extend("default" = 0))]
    pub timeout: Option<LocatedValue<Duration>>,
    /// How long a session may be silent; 0 means as long as it likes.
    #[schemars(with = "DurationText", extend("default" = 0))]
    pub idle_timeout: Option<LocatedValue<Duration>>,
    /// How long to wait for processes that a finished session left behind with its output open.
    #[schemars(with = "DurationText", extend("default" = "200ms"))]
    pub leak_timeout: Option<LocatedValue<Duration>>,
    /// How long sessions get between SIGINT and SIGTERM, and between SIGTERM and SIGKILL.
    #[schemars(with = "DurationText", extend("default" = "10s"))]
    pub grace: Option<LocatedValue<Duration>>,
    /// How long nox may take to load the noxfile.
    #[schemars(with = "DurationText", extend("default" = "1m"))]
    pub load_timeout: Option<LocatedValue<Duration>>,
    /// How often a failed session is tried again.
    #[schemars(with = "RetriesText", extend("default" = 0))]
    pub retries: Option<LocatedValue<RetryPolicy>>,
    /// What a pass after a failed attempt counts as.
    #[schemars(with = "WordText<FlakyMode>", extend("default" = "pass"))]
    pub flaky: Option<LocatedValue<FlakyMode>>,
    /// How sessions' output reaches the screen; by default what suits the screen.
    #[schemars(with = "WordText<OutputStyle>")]
    pub output: Option<LocatedValue<OutputStyle>>,
    /// How many runs are kept.
    #[schemars(with = "NonZeroUsize", extend("default" = 100))]
    pub history: Option<LocatedValue<NonZeroUsize>>,
    /// Names or globs of environment variables whose values are masked, beyond those that look like credentials.
    #[schemars(with = "Vec<String>", extend("default" = []))]
    pub secrets: Vec<LocatedValue<String>>,
    /// A folder that gets one log a session besides the run's own.
    #[schemars(with = "String")]
    pub logs: Option<LocatedValue<String>>,
    /// File names in `logs`; `{session}` stands for the session's name, made fit for a file name.
    #[schemars(with = "String", extend("default" = "{session}.log"), regex(pattern = r"^[^/\\]*\{session\}[^/\\]*$"))]
    pub log_name: Option<LocatedValue<String>>,
    /// How dependencies are kept and had.
    #[schemars(with = "CacheTable")]
    pub cache: CacheTable,
    /// How workflows are looked at.
    #[schemars(with = "AuditTable")]
    pub audit: AuditTable,
    /// Rules for single sessions, by base name, signature or glob; where several speak of one session, all count.
    #[schemars(with = "BTreeMap<String, SessionTable>")]
    pub sessions: Vec<SessionTable>,
}

/// A rule for the sessions that its name, signature or glob fits.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "session", rename_all = "kebab-case", deny_unknown_fields, transform = nothing_required)]
pub struct SessionTable {
    /// The name of the table.
    #[schemars(skip)]
    pub(crate) pattern: LocatedValue<String>,
    /// Sessions (names, signatures or globs) that must be over before these start.
    #[schemars(with = "Vec<String>")]
    pub(crate) after: Vec<LocatedValue<String>>,
    /// Named locks: two sessions with a lock in common do not overlap.
    #[schemars(with = "Vec<String>")]
    pub(crate) locks: Vec<LocatedValue<String>>,
    /// Whether nothing else may run beside them; by default what nox's allow_parallel says.
    #[schemars(with = "bool")]
    pub(crate) exclusive: Option<LocatedValue<bool>>,
    /// Slots each takes.
    #[schemars(with = "CountOrAll")]
    pub(crate) cpus: Option<LocatedValue<CpuCount>>,
    /// Memory each is expected to need.
    #[schemars(with = "MemoryText")]
    pub(crate) memory: Option<LocatedValue<u64>>,
    /// How long each may run; 0 means as long as it likes.
    #[schemars(with = "DurationText")]
    pub(crate) timeout: Option<LocatedValue<Duration>>,
    /// How long each may be silent; 0 means as long as it likes.
    #[schemars(with = "DurationText")]
    pub(crate) idle_timeout: Option<LocatedValue<Duration>>,
    /// How often each is tried again.
    #[schemars(with = "RetriesText")]
    pub(crate) retries: Option<LocatedValue<RetryPolicy>>,
    /// Environment variables each gets.
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) env: Vec<(String, String)>,
    /// Globs of files to keep with the run's record, relative to the project.
    #[schemars(with = "Vec<String>")]
    pub(crate) outputs: Vec<LocatedValue<String>>,
}

impl SettingsFile {
    /// Reads the settings out of a table; what is wrong is left with the reader.
    pub(super) fn read(reader: &mut TomlReader, table: &DeTable<'_>) -> Self {
        let mut file = Self::default();
        for (key, node) in table {
            match key.get_ref().as_ref() {
                key @ "jobs" => file.jobs = reader.read_jobs(key, node),
                key @ "fail-fast" => file.fail_fast = reader.read_fail_fast(key, node),
                key @ "timeout" => file.timeout = reader.read_duration(key, node),
                key @ "idle-timeout" => file.idle_timeout = reader.read_duration(key, node),
                key @ "leak-timeout" => file.leak_timeout = reader.read_duration(key, node),
                key @ "grace" => file.grace = reader.read_duration(key, node),
                key @ "load-timeout" => file.load_timeout = reader.read_duration(key, node),
                key @ "retries" => file.retries = reader.read_retries(key, node, &schema_keys::<RetriesText>()),
                key @ "flaky" => file.flaky = reader.read_choice(key, node),
                key @ "output" => file.output = reader.read_choice(key, node),
                key @ "history" => file.history = reader.read_positive(key, node),
                key @ "secrets" => file.secrets = reader.read_strings(key, node, parse_any_text),
                key @ "logs" => file.logs = reader.read_string(key, node, parse_any_text),
                key @ "log-name" => file.log_name = reader.read_string(key, node, parse_log_name),
                key @ "audit" => {
                    if let Some(table) = reader.read_table(key, node) {
                        file.audit = AuditTable::read(reader, table);
                    }
                }
                key @ "cache" => {
                    if let Some(table) = reader.read_table(key, node) {
                        file.cache = CacheTable::read(reader, table);
                    }
                }
                key @ "sessions" => file.sessions = read_sessions(reader, key, node),
                misplaced if schema_keys::<SessionTable>().iter().any(|known| known == misplaced) => {
                    reader.report_session_key(misplaced, key.span());
                }
                unknown => reader.report_unknown_key(unknown, key.span(), &schema_keys::<Self>()),
            }
        }
        file
    }
}

fn read_sessions(reader: &mut TomlReader, key: &str, node: &TomlNode<'_>) -> Vec<SessionTable> {
    let Some(table) = reader.read_table(key, node) else { return Vec::new() };
    let mut sessions = Vec::new();
    for (name, node) in table {
        let spot = reader.location(name.span());
        if let Some(table) = reader.read_table(name.get_ref(), node) {
            sessions.push(SessionTable::read(
                reader,
                LocatedValue { value: name.get_ref().to_string(), location: spot },
                table,
            ));
        }
    }
    sessions
}

impl SessionTable {
    fn new(pattern: LocatedValue<String>) -> Self {
        Self {
            pattern,
            after: Vec::new(),
            locks: Vec::new(),
            exclusive: None,
            cpus: None,
            memory: None,
            timeout: None,
            idle_timeout: None,
            retries: None,
            env: Vec::new(),
            outputs: Vec::new(),
        }
    }

    fn read(reader: &mut TomlReader, pattern: LocatedValue<String>, table: &DeTable<'_>) -> Self {
        let mut session = Self::new(pattern);
        for (key, node) in table {
            match key.get_ref().as_ref() {
                key @ "after" => session.after = reader.read_strings(key, node, parse_any_text),
                key @ "locks" => session.locks = reader.read_strings(key, node, parse_any_text),
                key @ "exclusive" => session.exclusive = reader.read_bool(key, node),
                key @ "cpus" => session.cpus = reader.read_cpus(key, node),
                key @ "memory" => session.memory = reader.read_memory(key, node),
                key @ "timeout" => session.timeout = reader.read_duration(key, node),
                key @ "idle-timeout" => session.idle_timeout = reader.read_duration(key, node),
                key @ "retries" => session.retries = reader.read_retries(key, node, &schema_keys::<RetriesText>()),
                key @ "env" => session.env = reader.read_env_table(key, node),
                key @ "outputs" => session.outputs = reader.read_strings(key, node, parse_project_glob),
                misplaced if schema_keys::<SettingsFile>().iter().any(|known| known == misplaced) => {
                    reader.report_run_key(misplaced, key.span());
                }
                unknown => reader.report_unknown_key(unknown, key.span(), &schema_keys::<Self>()),
            }
        }
        session
    }

    /// The rule as a run takes it.
    pub(crate) fn to_session_rule(&self) -> SessionRule {
        SessionRule {
            pattern: self.pattern.value.clone(),
            location: self.pattern.location.file_and_line(),
            after: plain_values(&self.after),
            locks: plain_values(&self.locks),
            exclusive: self.exclusive.as_ref().map(|exclusive| exclusive.value),
            cpus: self.cpus.as_ref().map(|cpus| cpus.value),
            memory: self.memory.as_ref().map(|memory| memory.value),
            timeout: self.timeout.as_ref().map(|timeout| timeout.value),
            idle_timeout: self.idle_timeout.as_ref().map(|timeout| timeout.value),
            retries: self.retries.as_ref().map(|retries| retries.value),
            env: self.env.clone(),
            outputs: plain_values(&self.outputs),
        }
    }
}

/// The values without their places.
pub(super) fn plain_values(placed: &[LocatedValue<String>]) -> Vec<String> {
    placed.iter().map(|placed| placed.value.clone()).collect()
}

fn parse_any_text(text: &str) -> Result<String, ValueParseError> {
    Ok(text.to_owned())
}

/// Reads settings from TOML whose settings stand at the top or in a table below it.
pub(super) fn read_toml(
    source: &Arc<SettingsSource>,
    below: &[&str],
) -> (Option<LocatedValue<SettingsFile>>, TomlReader) {
    let mut reader = TomlReader::new(Arc::clone(source), below);
    let (root, faults) = DeTable::parse_recoverable(&source.text);
    for fault in &faults {
        let wrong = SettingsProblem::Syntax(fault.message().trim().to_owned());
        reader.add_error(fault.span().unwrap_or_default(), wrong, None);
    }
    if !faults.is_empty() {
        return (None, reader);
    }
    let mut span = 0..0;
    let mut table = root.get_ref();
    for name in below {
        let Some((key, node)) = table.get_key_value(*name) else { return (None, reader) };
        span = key.span();
        let Some(inner) = reader.read_table(name, node) else { return (None, reader) };
        table = inner;
    }
    let value = SettingsFile::read(&mut reader, table);
    let spot = reader.location(span);
    (Some(LocatedValue { value, location: spot }), reader)
}
