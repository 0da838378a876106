//! Settings from flags, environment and files, resolved once.

mod audit_settings;
mod audit_table;
mod cache_table;
mod color;
mod error;
mod load;
mod parse;
mod schema;
mod schema_types;
mod settings;
mod settings_edit;
mod settings_file;
mod toml_reader;

pub use audit_settings::{AuditFlags, AuditSettings};
pub use audit_table::{AuditTable, RuleTable};
pub use cache_table::CacheTable;
pub use color::ColorMode;
pub use error::{LocatedValue, SettingsError, SettingsLocation, SettingsProblem, SettingsSource};
pub use load::load_settings;
pub use parse::{JobCount, ValueParseError};
pub(crate) use parse::{parse_age, parse_count, parse_duration, parse_jobs, parse_log_name, parse_memory};
pub use schema::schema_json;
pub use settings::{OsEnvLookup, Setting, SettingOrigin, Settings, SettingsFlags};
pub(crate) use settings_edit::{SettingsEdit, edit_settings};
pub use settings_file::{SessionTable, SettingsFile};
