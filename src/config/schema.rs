//! The JSON schema of the settings, made from the types that are read.

use super::schema_types::schema_generator;
use super::settings_file::SettingsFile;

/// The schema of a settings file, as JSON with a line break at its end.
pub fn schema_json() -> String {
    let schema = schema_generator().into_root_schema_for::<SettingsFile>();
    format!("{:#}\n", schema.to_value())
}
