//! The JSON schema of the settings, made from the types that are read.

<<<<<<< HEAD
use super::file::SettingsFile;
use super::shape::generator;

/// The schema of a settings file, as JSON with a line break at its end.
pub fn schema_json() -> String {
    let schema = generator().into_root_schema_for::<SettingsFile>();
=======
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

/// The schema of a type, as JSON with a line break at its end.
pub(super) fn json_of<T: JsonSchema>() -> String {
    let schema = generator().into_root_schema_for::<T>();
>>>>>>> ground
    format!("{:#}\n", schema.to_value())
}
