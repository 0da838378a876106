//! Settings files: location, keys and tables, and their JSON schema.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use toml::de::DeTable;

use super::audit_table::AuditTable;
use super::error::{LocatedValue, OUTSIDE_SETTINGS_PROBLEM, SettingsError, SettingsProblem, SettingsSource};
use super::parse::{JobCount, ValueParseError, parse_install_source, parse_log_name, parse_project_glob};
use super::schema::{
    ChoiceSchema, CpusSchema, DurationSchema, FailFastSchema, JobsSchema, MemorySchema, RetriesSchema, remove_required,
    schema_generator, schema_keys,
};
use super::toml_reader::{TomlNode, TomlReader};
use crate::audit::options::InstallSource;
use crate::fs::{open_project_file, read_limited_text};
use crate::provision::CacheMode;
use crate::run::{CpuCount, FailFast, FlakyMode, OutputStyle, RetryPolicy, SessionOverrides};
use crate::trace::TraceMode;

/// Settings of noxide: `noxide.toml`, or `[tool.noxide]` in `pyproject.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(title = "noxide settings", rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(transform = remove_required)]
pub struct SettingsFile {
    /// Number of slots: how many sessions run at once if each takes one; `auto` is the CPUs that noxide may use.
    #[schemars(with = "JobsSchema", extend("default" = "auto"))]
    pub jobs: Option<LocatedValue<JobCount>>,
    /// Reaction to a failure: "wait" starts no further session, "kill" also ends running ones.
    #[schemars(with = "FailFastSchema", extend("default" = false))]
    pub fail_fast: Option<LocatedValue<Option<FailFast>>>,
    /// Time limit of a session; 0 means none.
    #[schemars(with = "DurationSchema", extend("default" = 0))]
    pub timeout: Option<LocatedValue<Duration>>,
    /// Time that a session may print nothing; 0 means no limit.
    #[schemars(with = "DurationSchema", extend("default" = 0))]
    pub idle_timeout: Option<LocatedValue<Duration>>,
    /// Time to wait for processes that a finished session left running with its output open.
    #[schemars(with = "DurationSchema", extend("default" = "200ms"))]
    pub leak_timeout: Option<LocatedValue<Duration>>,
    /// Time between SIGINT and SIGTERM, and between SIGTERM and SIGKILL, when a session is ended.
    #[schemars(with = "DurationSchema", extend("default" = "10s"))]
    pub grace_period: Option<LocatedValue<Duration>>,
    /// Time limit for loading the noxfile.
    #[schemars(with = "DurationSchema", extend("default" = "1m"))]
    pub load_timeout: Option<LocatedValue<Duration>>,
    /// Number of retries of a failed session.
    #[schemars(with = "RetriesSchema", extend("default" = 0))]
    pub retries: Option<LocatedValue<RetryPolicy>>,
    /// Result of a session that passes on retry.
    #[schemars(with = "ChoiceSchema<FlakyMode>", extend("default" = "pass"))]
    pub flaky_result: Option<LocatedValue<FlakyMode>>,
    /// Which sessions are traced for conflicts: new, changed or failed ones, all, or none.
    #[schemars(with = "ChoiceSchema<TraceMode>", extend("default" = "auto"))]
    pub trace: Option<LocatedValue<TraceMode>>,
    /// How session output is shown; by default "grouped".
    #[schemars(with = "ChoiceSchema<OutputStyle>")]
    pub output: Option<LocatedValue<OutputStyle>>,
    /// Number of runs to keep.
    #[schemars(with = "NonZeroUsize", extend("default" = 100))]
    pub keep_runs: Option<LocatedValue<NonZeroUsize>>,
    /// Names or globs of environment variables whose values are masked, in addition to those that look like credentials.
    #[schemars(with = "Vec<String>", extend("default" = []))]
    pub secrets: Vec<LocatedValue<String>>,
    /// Directory for copies of the sessions' logs.
    #[schemars(with = "String")]
    pub logs: Option<LocatedValue<String>>,
    /// File names in `logs`; `{session}` is the name of the session's log without its extension.
    #[schemars(with = "String", extend("default" = "{session}.log"), regex(pattern = r"^[^/\\]*\{session\}[^/\\]*$"))]
    pub log_name: Option<LocatedValue<String>>,
    /// What CI workflows install noxide from: "noxide==VERSION", the URL or path of a wheel, "git+URL@COMMIT", "uses: ACTION@VERSION" or "image: IMAGE".
    #[schemars(with = "String")]
    pub install: Option<LocatedValue<InstallSource>>,
    /// Settings of the package cache.
    #[schemars(with = "CacheTable")]
    pub cache: CacheTable,
    /// Settings of `noxide audit`.
    #[schemars(with = "AuditTable")]
    pub audit: AuditTable,
    /// Settings of sessions, by base name, full name or glob; all tables that match a session apply.
    #[schemars(with = "BTreeMap<String, SessionTable>")]
    pub sessions: Vec<SessionTable>,
}

/// Settings of the sessions that match its name or glob.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "session", rename_all = "kebab-case", deny_unknown_fields, transform = remove_required)]
pub struct SessionTable {
    /// Base name, full name or glob: the name of the table.
    #[schemars(skip)]
    pub(crate) pattern: LocatedValue<String>,
    /// Sessions (base names, full names or globs) that must end before these start, passed or not.
    #[schemars(with = "Vec<String>")]
    pub(crate) after: Vec<LocatedValue<String>>,
    /// Named locks: sessions that share a lock do not overlap.
    #[schemars(with = "Vec<String>")]
    pub(crate) locks: Vec<LocatedValue<String>>,
    /// Whether no other session may run at the same time; by default as nox's allow_parallel says.
    #[schemars(with = "bool")]
    pub(crate) exclusive: Option<LocatedValue<bool>>,
    /// Slots that each session occupies.
    #[schemars(with = "CpusSchema")]
    pub(crate) cpus: Option<LocatedValue<CpuCount>>,
    /// Memory that each session is expected to need.
    #[schemars(with = "MemorySchema")]
    pub(crate) memory: Option<LocatedValue<u64>>,
    /// Time limit; 0 means none.
    #[schemars(with = "DurationSchema")]
    pub(crate) timeout: Option<LocatedValue<Duration>>,
    /// Time without output; 0 means no limit.
    #[schemars(with = "DurationSchema")]
    pub(crate) idle_timeout: Option<LocatedValue<Duration>>,
    /// Number of retries.
    #[schemars(with = "RetriesSchema")]
    pub(crate) retries: Option<LocatedValue<RetryPolicy>>,
    /// Environment variables to set.
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) env: Vec<(String, String)>,
    /// Globs of files to store with the run, relative to the project.
    #[schemars(with = "Vec<String>")]
    pub(crate) artifacts: Vec<LocatedValue<String>>,
}

/// Settings of the package cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "cache", rename_all = "kebab-case", deny_unknown_fields, transform = remove_required)]
pub struct CacheTable {
    /// Whether the cache is used; with "require", a run does not start if its cache cannot be opened.
    #[schemars(with = "ChoiceSchema<CacheMode>", extend("default" = "auto"))]
    pub(crate) mode: Option<LocatedValue<CacheMode>>,
    /// Whether installs are constrained to the versions in uv.lock.
    #[schemars(with = "bool", extend("default" = false))]
    pub(crate) locked: Option<LocatedValue<bool>>,
    /// Run an install offline if the same install succeeded less than this time ago; 0 always asks the index. If it is set, environments without a lock file are cached too.
    #[schemars(with = "DurationSchema", extend("default" = 0))]
    pub(crate) max_age: Option<LocatedValue<Duration>>,
    /// Maximum size of the store; a save that exceeds it removes the least recently used entries.
    #[schemars(with = "MemorySchema", extend("default" = "20GB"))]
    pub(crate) max_size: Option<LocatedValue<u64>>,
    /// Time after which a save removes unused entries of the store.
    #[schemars(with = "DurationSchema", extend("default" = "60d"))]
    pub(crate) max_unused: Option<LocatedValue<Duration>>,
    /// Further directories to cache; `~` is the home directory.
    #[schemars(with = "Vec<String>", extend("default" = []))]
    pub(crate) directories: Vec<LocatedValue<String>>,
    /// Whether bytecode of installed packages is cached; by default if `CI` is set.
    #[schemars(with = "bool")]
    pub(crate) bytecode: Option<LocatedValue<bool>>,
}

impl CacheTable {
    pub(super) fn read(reader: &mut TomlReader, table: &DeTable<'_>) -> Self {
        let mut cache = Self::default();
        for (key, node) in table {
            match key.get_ref().as_ref() {
                key @ "mode" => cache.mode = reader.read_choice(key, node),
                key @ "locked" => cache.locked = reader.read_bool(key, node),
                key @ "max-age" => cache.max_age = reader.read_duration(key, node),
                key @ "max-size" => cache.max_size = reader.read_memory(key, node),
                key @ "max-unused" => cache.max_unused = reader.read_duration(key, node),
                key @ "directories" => cache.directories = reader.read_strings(key, node, |text| Ok(text.to_owned())),
                key @ "bytecode" => cache.bytecode = reader.read_bool(key, node),
                unknown => reader.report_unknown_key(unknown, key.span(), &schema_keys::<Self>()),
            }
        }
        cache
    }
}

impl SettingsFile {
    /// Reads the settings from a table; errors are added to the reader.
    pub(super) fn read(reader: &mut TomlReader, table: &DeTable<'_>) -> Self {
        let mut file = Self::default();
        for (key, node) in table {
            match key.get_ref().as_ref() {
                key @ "jobs" => file.jobs = reader.read_jobs(key, node),
                key @ "fail-fast" => file.fail_fast = reader.read_fail_fast(key, node),
                key @ "timeout" => file.timeout = reader.read_duration(key, node),
                key @ "idle-timeout" => file.idle_timeout = reader.read_duration(key, node),
                key @ "leak-timeout" => file.leak_timeout = reader.read_duration(key, node),
                key @ "grace-period" => file.grace_period = reader.read_duration(key, node),
                key @ "load-timeout" => file.load_timeout = reader.read_duration(key, node),
                key @ "retries" => file.retries = reader.read_retries(key, node, &schema_keys::<RetriesSchema>()),
                key @ "flaky-result" => file.flaky_result = reader.read_choice(key, node),
                key @ "trace" => file.trace = reader.read_choice(key, node),
                key @ "output" => file.output = reader.read_choice(key, node),
                key @ "keep-runs" => file.keep_runs = reader.read_positive(key, node),
                key @ "secrets" => file.secrets = reader.read_strings(key, node, parse_any_text),
                key @ "logs" => file.logs = reader.read_string(key, node, parse_any_text),
                key @ "log-name" => file.log_name = reader.read_string(key, node, parse_log_name),
                key @ "install" => file.install = reader.read_string(key, node, parse_install_source),
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
        let location = reader.location(name.span());
        if let Some(table) = reader.read_table(name.get_ref(), node) {
            sessions.push(SessionTable::read(
                reader,
                LocatedValue { value: name.get_ref().to_string(), location },
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
            artifacts: Vec::new(),
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
                key @ "retries" => session.retries = reader.read_retries(key, node, &schema_keys::<RetriesSchema>()),
                key @ "env" => session.env = reader.read_env_table(key, node),
                key @ "artifacts" => session.artifacts = reader.read_strings(key, node, parse_project_glob),
                misplaced if schema_keys::<SettingsFile>().iter().any(|known| known == misplaced) => {
                    reader.report_run_key(misplaced, key.span());
                }
                unknown => reader.report_unknown_key(unknown, key.span(), &schema_keys::<Self>()),
            }
        }
        session
    }

    /// Converts the table to overrides, without the locations of its values.
    pub(crate) fn to_overrides(&self) -> SessionOverrides {
        SessionOverrides {
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
            artifacts: plain_values(&self.artifacts),
        }
    }
}

/// Returns the values without their locations.
pub(super) fn plain_values(located: &[LocatedValue<String>]) -> Vec<String> {
    located.iter().map(|located| located.value.clone()).collect()
}

fn parse_any_text(text: &str) -> Result<String, ValueParseError> {
    Ok(text.to_owned())
}

/// Reads settings from TOML, at the top, or in the table at a path such as `tool`, `noxide`.
pub(super) fn read_toml(
    source: &Arc<SettingsSource>,
    table_path: &[&str],
) -> (Option<LocatedValue<SettingsFile>>, TomlReader) {
    let mut reader = TomlReader::new(Arc::clone(source), table_path);
    let (root, syntax_errors) = DeTable::parse_recoverable(&source.text);
    for error in &syntax_errors {
        let problem = SettingsProblem::Syntax(error.message().trim().to_owned());
        reader.add_error(error.span().unwrap_or_default(), problem, None);
    }
    if !syntax_errors.is_empty() {
        return (None, reader);
    }
    let mut span = 0..0;
    let mut table = root.get_ref();
    for name in table_path {
        let Some((key, node)) = table.get_key_value(*name) else { return (None, reader) };
        span = key.span();
        let Some(inner) = reader.read_table(name, node) else { return (None, reader) };
        table = inner;
    }
    let value = SettingsFile::read(&mut reader, table);
    let location = reader.location(span);
    (Some(LocatedValue { value, location }), reader)
}

/// Returns the JSON schema of a settings file, with a line break at its end.
pub fn schema_json() -> String {
    let schema = schema_generator().into_root_schema_for::<SettingsFile>();
    format!("{:#}\n", schema.to_value())
}

/// Reads the settings of a project from `noxide.toml` or from `[tool.noxide]` in `pyproject.toml`; without either they are
/// empty.
///
/// # Errors
/// All errors in the files, or settings in both.
pub fn load_settings(root: &Path) -> Result<SettingsFile, Vec<SettingsError>> {
    let noxide_toml = read_source(root, "noxide.toml")?.map(|source| read_toml(&source, &[]));
    let pyproject = read_source(root, "pyproject.toml")?.map(|source| read_toml(&source, &["tool", "noxide"]));
    if let (Some(_), Some((Some(table), _))) = (&noxide_toml, &pyproject) {
        let (file, location) = ("noxide.toml".to_owned(), table.location.file_and_line());
        return Err(vec![SettingsError::TwoFiles { file, table: location }]);
    }
    let mut settings = SettingsFile::default();
    let mut errors = Vec::new();
    for (file, mut reader) in [noxide_toml, pyproject].into_iter().flatten() {
        if !reader.errors.is_empty() && reader.source.leads_outside() {
            // The errors quote the file, which may be any file of this user.
            let reason = format!("it {OUTSIDE_SETTINGS_PROBLEM}");
            errors.push(SettingsError::Unreadable { path: reader.source.path.clone(), reason });
            continue;
        }
        // The order of the file, which differs from the order of parsing if a table is written in parts.
        reader.errors.sort_by_key(|error| error.location().map(|location| location.span.start));
        errors.extend(reader.errors);
        let (file_name, count) = (reader.source.name.clone(), reader.skipped_errors);
        errors.extend((count > 0).then_some(SettingsError::More { file: file_name, count }));
        settings = file.map_or(settings, |file| file.value);
    }
    if errors.is_empty() { Ok(settings) } else { Err(errors) }
}

/// Maximum size of a settings file in bytes.
const MAX_SETTINGS_BYTES: u64 = 4 << 20;

fn read_source(root: &Path, name: &str) -> Result<Option<Arc<SettingsSource>>, Vec<SettingsError>> {
    let path = root.join(name);
    // A file of `/proc` has no size, and may not end.
    match open_project_file(&path).and_then(|file| read_limited_text(file, MAX_SETTINGS_BYTES)) {
        Ok(text) => Ok(Some(Arc::new(SettingsSource { name: name.to_owned(), path, text }))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(vec![SettingsError::Unreadable { path, reason: error.to_string() }]),
    }
}
