//! Settings from flags, environment and files, each with its origin.

mod action_inputs;
mod audit_settings;
mod audit_table;
mod color;
mod directories;
mod error;
mod parse;
mod schema;
mod settings;
mod settings_edit;
mod settings_file;
mod toml_reader;

pub(crate) use action_inputs::append_action_inputs;
pub use audit_settings::{AuditFlags, AuditSettings};
pub use audit_table::{AuditTable, RuleTable};
pub use color::ColorMode;
pub(crate) use directories::{settings_root, user_cache_dir};
pub use error::{LocatedValue, SettingsError, SettingsLocation, SettingsProblem, SettingsSource};
pub use parse::{JobCount, ValueParseError};
pub(crate) use parse::{parse_count, parse_duration, parse_jobs, parse_log_name, parse_memory};
pub use settings::{OsEnvLookup, Setting, SettingOrigin, Settings, SettingsFlags};
pub(crate) use settings_edit::{ApplyEditsError, SettingsEdit, apply_settings_edits, render_settings};
pub use settings_file::{CacheTable, SessionTable, SettingsFile, load_settings, schema_json};
