//! Settings from flags, environment and files, resolved once.

mod audit;
mod audit_settings;
mod cache;
mod colour;
mod edit;
mod file;
mod load;
mod place;
mod reader;
mod schema;
mod settings;
mod shape;
mod text;

pub use audit::{AuditTable, RuleTable};
pub use audit_settings::{AuditFlags, AuditSettings};
pub use cache::CacheTable;
pub use colour::Colour;
pub use edit::{Edit, EditError, edit};
pub use file::{SessionTable, SettingsFile};
pub use load::load;
pub use place::{Placed, SettingsError, Source, Spot, Wrong, nearest};
pub use schema::schema_json;
pub use settings::{Flags, Origin, Setting, Settings, Variables};
pub use text::{
    Jobs, Misread, parse_age, parse_count, parse_cpus, parse_duration, parse_fail_fast, parse_jobs, parse_log_name,
    parse_memory, parse_number, parse_word,
};
